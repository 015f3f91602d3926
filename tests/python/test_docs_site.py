"""The documentation site opens from the disk, and says so where something is missing."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from ml.cli import docs_site
from ml.core.errors import InsighteraError
from ml.features.store import AUDIT
from ml.registry import versions as registry

MANIFEST = json.dumps(
    {
        "nodes": {
            name: {"config": {"materialized": kind}, "columns": {"nim": {"name": "nim"}}}
            for name, kind in (("a", "feature_table"), ("b", "table"))
        }
    }
)


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A target folder with dbt's page, and a home without any model."""
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path / "home"))
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / docs_site.DBT_PAGE).write_text(
        f"<html>var n={{manifest:{MANIFEST},catalog:{{}}}}</html>"
    )
    return folder


def test_a_feature_table_shows_the_columns_that_its_yaml_leaves_out(target: Path) -> None:
    """With their descriptions, after its own; another model's columns stay as they are."""
    docs_site.write([], target, target / "docs-site")
    page = (target / "docs-site" / "lineage.html").read_text()
    shown = json.JSONDecoder().raw_decode(page.partition(docs_site.MANIFEST)[2])[0]["nodes"]
    assert list(shown["a"]["columns"]) == ["nim", *AUDIT]
    for name, column in AUDIT.items():
        assert shown["a"]["columns"][name]["description"] == column["description"]
    assert list(shown["b"]["columns"]) == ["nim"]
    assert page.endswith(",catalog:{}}</html>")


def test_a_page_without_manifest_is_refused(target: Path) -> None:
    (target / docs_site.DBT_PAGE).write_text("<html>another dbt's page</html>")
    with pytest.raises(InsighteraError, match="no manifest"):
        docs_site.write([], target, target / "docs-site")


def test_every_link_leads_somewhere_and_nothing_needs_a_network(target: Path) -> None:
    pages = docs_site.write(docs_site.use_cases(), target, target / "docs-site")
    names = {page.name for page in pages}
    assert {"index.html", "lineage.html", "glossary.html", "student_dropout.html"} <= names
    for page in pages:
        text = page.read_text()
        for link in re.findall(r"(?:href|src)=[\"']([^\"'#]+)", text):
            if link.startswith("http"):
                assert f'src="{link}"' not in text, (page.name, link)
            else:
                assert (page.parent / link).is_file(), (page.name, link)


def test_a_use_case_without_champion_says_what_to_do(target: Path) -> None:
    docs_site.write(["student_dropout"], target, target / "docs-site")
    assert "No champion yet" in (target / "docs-site" / "student_dropout.html").read_text()


def test_the_card_and_its_pictures_are_the_champions(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = tmp_path / "run" / "artifacts"
    stored.mkdir(parents=True)
    (stored / docs_site.CARD).write_text(
        "# Card\n\n| attribute | ROC AUC |\n| --- | --- |\n| agama | 0.7 |\n"
    )
    for file in docs_site.PICTURES:
        (stored / file).write_bytes(b"\x89PNG " + file.encode())
    versions = [
        registry.Version(
            "student_dropout", number, (alias,), datetime(2024, 1, 1), {}, (), (), source, {}
        )
        for number, alias, source in (
            ("2", registry.CHALLENGER, "/nowhere/model"),
            ("1", registry.CHAMPION, (stored / "model").as_uri()),
        )
    ]
    monkeypatch.setattr(registry, "list_versions", lambda _name: versions)
    docs_site.write(["student_dropout"], target, target / "docs-site")
    page = (target / "docs-site" / "student_dropout.html").read_text()
    assert "<td>agama</td>" in page
    for file in docs_site.PICTURES:
        shown = target / "docs-site" / f"student_dropout_{file}"
        assert shown.name in page
        assert shown.read_bytes() == (stored / file).read_bytes()
    (stored / "roc.png").unlink()
    with pytest.raises(InsighteraError, match=r"roc\.png cannot be read"):
        docs_site.write(["student_dropout"], target, target / "docs-site")
    assert "agama" in (target / "docs-site" / "student_dropout.html").read_text()


def test_without_dbts_page_the_message_says_how_to_get_it(target: Path) -> None:
    (target / docs_site.DBT_PAGE).unlink()
    with pytest.raises(InsighteraError, match="make docs"):
        docs_site.write([], target, target / "docs-site")
