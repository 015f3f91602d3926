"""Whatever a description or a setting says arrives in the warehouse as it was written."""

from typing import TYPE_CHECKING, Any

import duckdb
import jinja2
import pytest
from conftest import PROJECT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXTS = ("plain", "it's", "''", 'a "b"', r"a\nb", r'{"a": "\"b\" \\ \u00e9"}', "%_{}", "a\nb", "\\")


def literal(engine: str, text: str) -> str:
    """What the macro makes of a text."""
    source = (PROJECT / "macros/engine/text_literal.sql").read_text("utf-8")
    names: dict[str, Any] = {"adapter": None, "return": None}
    module: Any = jinja2.Environment(autoescape=False).from_string(source, globals=names).module
    return str(getattr(module, f"{engine}__text_literal")(text))


@pytest.mark.parametrize("text", TEXTS)
def test_duckdb_reads_what_was_written(text: str) -> None:
    assert duckdb.sql(f"select {literal('duckdb', text)}").fetchall() == [(text,)]


@pytest.mark.slow
@pytest.mark.spark
def test_spark_reads_what_was_written(spark_session: "SparkSession") -> None:
    columns = ", ".join(f"{literal('spark', text)} as c{n}" for n, text in enumerate(TEXTS))
    assert tuple(spark_session.sql(f"select {columns}").first()) == TEXTS
