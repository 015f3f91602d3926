"""Whatever a description or a setting says arrives in the warehouse as it was written."""

from typing import TYPE_CHECKING

import duckdb
import pytest

from ml.core.macros import rendered

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXTS = ("plain", "it's", "''", 'a "b"', r"a\nb", r'{"a": "\"b\" \\ \u00e9"}', "%_{}", "a\nb", "\\")


def literal(engine: str, text: str) -> str:
    """What the macro makes of a text."""
    return str(rendered(engine, "engine/text_literal").text_literal(text))


@pytest.mark.parametrize("text", TEXTS)
def test_duckdb_reads_what_was_written(text: str) -> None:
    assert duckdb.sql(f"select {literal('duckdb', text)}").fetchall() == [(text,)]


@pytest.mark.slow
@pytest.mark.spark
def test_spark_reads_what_was_written(spark_session: "SparkSession") -> None:
    columns = ", ".join(f"{literal('spark', text)} as c{n}" for n, text in enumerate(TEXTS))
    assert tuple(spark_session.sql(f"select {columns}").first()) == TEXTS
