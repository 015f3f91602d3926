"""Neighbours that differ are two versions: the digest of feature values tells any two rows apart."""

from typing import TYPE_CHECKING
from urllib.parse import unquote

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import engine
from ml.core.macros import rendered

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = [{"name": "x", "type": "DOUBLE"}, {"name": "n", "type": "INTEGER"}] + [
    {"name": name, "type": "VARCHAR"} for name in ("one", "two")
]
# each differs from the others in what a join of texts, or a word for NULL, might lose
ROWS: list[tuple[float | None, int | None, str | None, str | None]] = [
    (None, None, None, None),
    (0.0, 0, None, None),
    (0.0, 0, "~", "~"),
    (0.0, 0, None, "~"),
    (0.0, 0, "", ""),
    (0.0, 0, "a|b", "c"),
    (0.0, 0, "a", "b|c"),
    (0.0, 0, 'a"|"b', "c"),
    (0.0, 0, "a", 'b"|"c'),
    (0.0, 0, '"', '""'),
    (0.0, 0, '""', '"'),
    (0.0, 0, "\\", "'"),
    (0.0, 0, "0", "0"),
    (1e-9, 0, "a", "b"),
    (-2.5, 1, "a", "b"),
    (1e30, 0, "a", "b"),
    (-1e30, 0, "a", "b"),
    (1e300, 0, "a", "b"),
]
parts = st.one_of(st.none(), st.text(alphabet='~|",\\ab/%\x1f', max_size=4))


def query(engine_name: str, relation: str) -> str:
    """SQL that gives the digest of every row of a relation, in its order."""
    macros = rendered(engine_name, "engine/decimal_text", "feature_table/feature_hash")
    digest = macros.feature_hash(COLUMNS, relation)
    return f"select {digest} as digest from {relation} order by row_number"


def numbered(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[column["name"] for column in COLUMNS])
    frame["x"] = frame.x.astype("float64")
    return frame.assign(row_number=range(len(frame)), n=frame.n.astype("Int64"))


def on_duckdb(rows: list[tuple]) -> list[str]:
    with duckdb.connect() as connection:
        connection.register("held", numbered(rows))
        connection.execute("create table features as from held")
        return [row[0] for row in connection.execute(query("duckdb", "features")).fetchall()]


def test_other_rows_have_other_digests() -> None:
    found = on_duckdb(ROWS)
    assert None not in found
    assert len(set(found)) == len(ROWS)
    assert found == on_duckdb(ROWS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.just(0.0), st.just(0), parts, parts), unique=True, min_size=2))
def test_whatever_stands_in_a_text(rows: list[tuple]) -> None:
    assert len(set(on_duckdb(rows))) == len(rows)


@pytest.mark.slow
@pytest.mark.spark
def test_spark_gives_the_same_digests(spark_session: "SparkSession") -> None:
    rows = [(*row, number) for number, row in enumerate(ROWS)]
    names = "x double, n int, one string, two string, row_number int"
    spark_session.createDataFrame(rows, names).createOrReplaceTempView("features")
    found = [row.digest for row in spark_session.sql(query("spark", "features")).collect()]
    assert found == on_duckdb(ROWS)


KEYS = [
    ("a", "b"),
    ("a,b", ""),
    ("a", ",b"),
    ('a","b', "c"),
    ("a", 'b","c'),
    ("a\x1fb", ""),
    ("", "a"),
]


def test_keys_of_several_parts_are_told_apart() -> None:
    """What decides which side of a split, and which sample, an entity falls into."""
    with engine.opened() as on:
        rows = pd.DataFrame(KEYS, columns=["one", "two"])
        hashes = on.arrow(
            on.sql(f"select {on.key_hash(['one', 'two'])} as h from rows_", rows_=rows)
        )
        assert len(set(hashes["h"].to_pylist())) == len(KEYS)
        # a single key's is of its own text, as it always was
        single = on.sql(
            f"select {on.key_hash(['one'])} = md5_number_lower(one) as same from rows_", rows_=rows
        )
        assert set(on.arrow(single)["same"].to_pylist()) == {True}


@pytest.mark.slow
@pytest.mark.spark
def test_keys_are_the_same_on_spark(spark_session: "SparkSession") -> None:
    with engine.opened() as here, engine.opened(spark_session) as there:
        rows = pd.DataFrame(KEYS, columns=["one", "two"])
        spark_session.createDataFrame(rows).createOrReplaceTempView("keys")
        for columns in (["one"], ["one", "two"]):
            found = here.arrow(here.sql(f"select {here.key_hash(columns)} as h from k", k=rows))
            keys = spark_session.table("keys")
            same = there.arrow(there.sql(f"select {there.key_hash(columns)} as h from k", k=keys))
            assert [int(v) for v in same["h"].to_pylist()] == found["h"].to_pylist()


def test_monitoring_tells_keys_of_several_parts_apart() -> None:
    """Each entity is one text, from which its keys come back; a label that failed is not read."""
    macros = rendered(
        "duckdb",
        "monitoring/monitored_labels",
        "engine/text_literal",
        "tasks/task_columns",
        monitored_use_cases=lambda: ["x", "failed"],
        refused_use_cases=lambda: {"failed": ["label_failed"]},
        use_case_meta=lambda name: {  # noqa: ARG005
            "task": "classification",
            "entity_keys": ["one", "two"],
        },
        ref=lambda name: name,
    )
    keys = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a", "b%2Fc"), ("100 %", "/")]
    with duckdb.connect() as connection:
        held = pd.DataFrame(keys, columns=["one", "two"]).assign(
            cutoff=pd.Timestamp("2024-08-01"), label=0
        )
        connection.register("label_x", held)
        found = connection.execute(macros.monitored_labels()).fetchall()
    texts = [row[2] for row in found]
    assert [tuple(map(unquote, text.split("/"))) for text in texts] == keys
    assert len(set(texts)) == len(keys)
