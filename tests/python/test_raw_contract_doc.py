"""`docs/raw-contract.md` says what the sources' YAML says."""

import pytest

from ml.core.errors import InsighteraError
from ml.raw.files import PROJECT, contract, with_tables

DOCUMENT = (PROJECT / "docs" / "raw-contract.md").read_text(encoding="utf-8")


def test_document_holds_the_tables_of_the_yaml() -> None:
    assert with_tables(DOCUMENT) == DOCUMENT, "run `python -m ml.raw.files`"


def test_a_changed_table_is_noticed() -> None:
    changed = DOCUMENT.replace("`hadir`, `terlambat`", "`hadir`")
    assert changed != DOCUMENT
    assert with_tables(changed) == DOCUMENT


def test_every_table_and_column_is_described() -> None:
    for table in contract():
        assert f"### {table.source}.{table.name}\n" in DOCUMENT
        assert table.description
        assert {"recorded_at", "loaded_at"} <= {column.name for column in table.columns}
        assert set(table.key) <= {column.name for column in table.columns}
        assert not [column.name for column in table.columns if not column.description]


def test_document_without_its_mark_is_an_error() -> None:
    with pytest.raises(InsighteraError, match="restore it"):
        with_tables("# The raw contract\n")
