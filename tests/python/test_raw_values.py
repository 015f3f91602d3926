"""A raw value is read as docs/raw-contract.md says, and not at all otherwise: on both engines."""

import unicodedata
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from ml.core.macros import rendered

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILES = (
    *(
        f"engine/{name}"
        for name in (
            "composed",
            "decimal_text",
            "matches_whole",
            "plain_text",
            "raw_kind",
            "text_literal",
            "text_of_bytes",
            "try_cast_raw",
            "utc_timestamp",
        )
    ),
    "raw/raw_pattern",
    "raw/raw_text",
)
MORNING = datetime(2024, 2, 19, 8)
TEXTS: dict[str, dict[str, Any]] = {
    "date": {
        "2024-02-19": date(2024, 2, 19),
        " 2024-02-29\t": date(2024, 2, 29),
        "1000-01-01": date(1000, 1, 1),
        "9999-12-31": date(9999, 12, 31),
        **dict.fromkeys(
            [
                *("24-02-19", "2024-2-19", "2024-02-30", "2023-02-29", "0000-01-01", "0022-09-01"),
                *("12024-02-19", "+2024-02-19", "2024-02-19 BC", "44-03-15 (BC)", "2024-02-19 tbc"),
                *(
                    "2024-02-19 08:00:00",
                    "2024-02-19T23:30:00-05:00",
                    "2024-02",
                    "2024",
                    "20240219",
                ),
                *(
                    "19/02/2024",
                    "2024/02/19",
                    "epoch",
                    "infinity",
                    "-infinity",
                    "today",
                    "now",
                    "45341",
                ),
                *("\uff12\uff10\uff12\uff14-02-19", "2024-02-19\n2024-02-20", "2024-02-19;"),
            ]
        ),
    },
    "timestamp": {
        "2024-02-19 08:00:00": MORNING,
        "2024-02-19T08:00:00": MORNING,
        "2024-02-19 08:00": MORNING,
        "2024-02-19": datetime(2024, 2, 19),
        "2024-02-19T08:00:00Z": MORNING,
        "2024-02-19T08:00Z": MORNING,
        "2024-02-19 15:00:00+07": MORNING,
        "2024-02-19 15:00+07": MORNING,
        "2024-02-19T15:00:00+07:00": MORNING,
        "2024-02-19T15:00+07:00": MORNING,
        "2024-02-19T03:30:00-04:30": MORNING,
        "2024-02-19 08:00:00.25": MORNING.replace(microsecond=250000),
        "2024-02-19 08:00:00.000001Z": MORNING.replace(microsecond=1),
        "2024-01-01T00:30:00+07:00": datetime(2023, 12, 31, 17, 30),
        **dict.fromkeys(
            [
                *("22-09-01 08:00:00", "0022-09-01 08:00:00", "12024-02-19 08:00:00", "epoch"),
                *("infinity", "-infinity", "2024-02-19 08:00:00 BC", "2024-02-19 08:00:00 (BC)"),
                *("2024-02-19 08:00:00 tbc", "2024-02-19 08:00:00 UTC", "10:30", "2024-02-19 8:00"),
                *("2024-02-19 08:00:00 Asia/Jakarta", "2024-02-19 08:00:00Asia/Jakarta", "now"),
                *(
                    "2024-02-19 24:00:00",
                    "2024-02-19 08:60",
                    "2024-02-19 08:00:60",
                    "2024-02-19 08",
                ),
                *("2024-02-30 08:00:00", "2024-02-30T08:00Z", "2024-02-19T", "2024-02-19+07:00"),
                *("2024-02-19  08:00:00", "2024-02-19 08:00:00.", "2024-02-19 08:00:00.1234567"),
                *(
                    "2024-02-19 08:00:00+7",
                    "2024-02-19 08:00:00+15:00",
                    "2024-02-19 08:00:00+07:60",
                ),
                *(
                    "2024-02-19 08:00:00 PM",
                    "1708329600",
                    "02/19/2024 08:00",
                    "2024-02-19_08:00:00",
                ),
            ]
        ),
    },
    "integer": {
        "3": 3,
        "-3": -3,
        "007": 7,
        "3.0": 3,
        "3.00": 3,
        "2147483647": 2147483647,
        "\u00a0 3\t": 3,
        **dict.fromkeys(
            [
                *(
                    "3.5",
                    "1_0",
                    "1,000",
                    "1e3",
                    "0x10",
                    "3f",
                    "3d",
                    "3L",
                    "2147483648",
                    "nan",
                    "--3",
                ),
                *(
                    "+3",
                    "3.",
                    ".0",
                    "3 4",
                    "99999999999999999999999",
                    "inf",
                    "true",
                    "\u0663",
                    "3.0000001",
                ),
            ]
        ),
    },
    "double": {
        "3.5": 3.5,
        "-0.25": -0.25,
        "3": 3.0,
        ".5": 0.5,
        "5.": 5.0,
        "1e3": 1000.0,
        "1.5E-05": 1.5e-05,
        "1e300": 1e300,
        **dict.fromkeys(
            [
                *(
                    "nan",
                    "NaN",
                    "-nan",
                    "inf",
                    "-inf",
                    "Infinity",
                    "1e999",
                    "-1e400",
                    "1_0",
                    "0x1p3",
                ),
                *(
                    "0x10",
                    "3.5f",
                    "3.5d",
                    "3.5D",
                    "1e",
                    "e5",
                    ".",
                    "-",
                    "3,5",
                    "1.000,5",
                    "+3",
                    "3.5 %",
                ),
            ]
        ),
    },
    "boolean": {
        "true": True,
        "false": False,
        "True": True,
        "FALSE": False,
        **dict.fromkeys(["1", "0", "t", "f", "yes", "no", "on", "off", "y", "truee", "wahr"]),
    },
    "varchar": {
        "S1": "S1",
        "S1\t": "S1",
        "\ufeffS1": "S1",
        "\u200bS1\u2003\u3000\r\n": "S1",
        " Ana  María ": "Ana  María",
        "Jose\u0301": "Jos\u00e9",
        "Jos\u00e9": "Jos\u00e9",
        "Nguye\u0302\u0303n": "Nguy\u1ec5n",
        "20210001.0": "20210001.0",
        "\u0301x": "\u0301x",
        "x\u0489": "x\u0489",
        "\t": None,
        "": None,
        "\u00a0\ufeff": None,
    },
}
# As the engines hold them: (DuckDB's type, Spark's, the value in SQL, the contract's type, what is read).
TYPED: list[tuple[str, str, str, str, Any]] = [
    ("DOUBLE", "double", "20210001", "varchar", "20210001"),
    ("DOUBLE", "double", "-0.0", "varchar", "0"),
    ("DOUBLE", "double", "230000000", "varchar", "230000000"),
    ("DOUBLE", "double", "2023.1", "varchar", "2023.1"),
    ("DOUBLE", "double", "'NaN'", "varchar", None),
    ("DOUBLE", "double", "1e17", "varchar", None),
    ("FLOAT", "float", "1234567", "varchar", "1234567"),
    ("FLOAT", "float", "20210001", "varchar", None),  # a float of 32 bits does not hold this number
    ("BIGINT", "bigint", "20210001", "varchar", "20210001"),
    ("DECIMAL(20,2)", "decimal(20,2)", "20210001", "varchar", "20210001"),
    ("BOOLEAN", "boolean", "true", "varchar", "true"),
    ("DATE", "date", "'2024-02-19'", "varchar", "2024-02-19"),
    ("DOUBLE", "double", "3", "integer", 3),
    ("DOUBLE", "double", "3.5", "integer", None),
    ("DOUBLE", "double", "'NaN'", "integer", None),
    ("DOUBLE", "double", "'Infinity'", "integer", None),
    ("DOUBLE", "double", "1e30", "integer", None),
    ("FLOAT", "float", "3", "integer", 3),
    ("BIGINT", "bigint", "3", "integer", 3),
    ("BIGINT", "bigint", "3000000000", "integer", None),
    ("INTEGER", "int", "3", "integer", 3),
    ("DECIMAL(5,2)", "decimal(5,2)", "3", "integer", 3),
    ("DECIMAL(5,2)", "decimal(5,2)", "3.5", "integer", None),
    ("BOOLEAN", "boolean", "true", "integer", None),
    ("DOUBLE", "double", "3.5", "double", 3.5),
    ("DOUBLE", "double", "1e30", "double", 1e30),
    ("DOUBLE", "double", "'NaN'", "double", None),
    ("DOUBLE", "double", "'Infinity'", "double", None),
    ("DOUBLE", "double", "'-Infinity'", "double", None),
    ("FLOAT", "float", "'NaN'", "double", None),
    ("FLOAT", "float", "0.5", "double", 0.5),
    ("INTEGER", "int", "3", "double", 3.0),
    ("DECIMAL(5,2)", "decimal(5,2)", "3.5", "double", 3.5),
    ("BOOLEAN", "boolean", "true", "boolean", True),
    ("INTEGER", "int", "1", "boolean", None),
    ("DATE", "date", "'2024-02-19'", "date", date(2024, 2, 19)),
    ("DATE", "date", "'0022-09-01'", "date", None),
    ("DATE", "date", "'2024-02-19'", "timestamp", datetime(2024, 2, 19)),
    ("TIMESTAMP", "timestamp_ntz", "'2024-02-19 00:00:00'", "date", date(2024, 2, 19)),
    ("TIMESTAMP", "timestamp_ntz", "'2024-02-19 08:00:00'", "date", None),
    ("TIMESTAMP", "timestamp_ntz", "'2024-02-19 08:00:00'", "timestamp", MORNING),
    ("TIMESTAMP", "timestamp_ntz", "'0022-09-01 08:00:00'", "timestamp", None),
    (
        "TIMESTAMP WITH TIME ZONE",
        "timestamp_ltz",
        "'2024-02-19 15:00:00+07:00'",
        "timestamp",
        MORNING,
    ),
    (
        "TIMESTAMP WITH TIME ZONE",
        "timestamp_ltz",
        "'2024-02-19 00:00:00+00:00'",
        "date",
        date(2024, 2, 19),
    ),
    ("TIMESTAMP WITH TIME ZONE", "timestamp_ltz", "'2024-02-19 15:00:00+07:00'", "date", None),
    ("INTEGER", "int", "20240219", "date", None),
    ("BIGINT", "bigint", "1708329600", "timestamp", None),
    ("BOOLEAN", "boolean", "true", "timestamp", None),
    ("INTEGER[]", "array<int>", "array(3)", "varchar", None),
]
ONLY_DUCKDB: list[tuple[str, str, str, Any]] = [
    ("TIMESTAMP", "'-infinity'", "timestamp", None),
    ("TIMESTAMP", "'infinity'", "date", None),
    ("TIMESTAMP", "'10000-01-01'", "timestamp", None),
    ("TIMESTAMP", "'0044-03-15 (BC)'", "timestamp", None),
    ("TIMESTAMP WITH TIME ZONE", "'infinity'", "timestamp", None),
    ("TIMESTAMP_NS", "'2024-02-19 08:00:00.000000999'", "timestamp", MORNING),
    ("TIMESTAMP_MS", "'2024-02-19 08:00:00'", "timestamp", MORNING),
    ("TIMESTAMP_S", "'2024-02-19 08:00:00'", "timestamp", MORNING),
    ("DATE", "'infinity'", "date", None),
    ("DATE", "'-infinity'", "timestamp", None),
    (
        "UUID",
        "'00000000-0000-0000-0000-00000000000a'",
        "varchar",
        "00000000-0000-0000-0000-00000000000a",
    ),
]
BYTES = {
    "494620": "IF",
    "47C3A96E6965": "Génie",
    "65CC81": "é",
    "2009": None,
    "FF": None,
    "C3": None,
}
NUMBERS = {
    "0.1": "0.100000000",
    "-2.5": "-2.500000000",
    "1e-10": "0.000000000",
    "123456.5": "123456.500000000",
    "1e30": "1.000000000e+30",
    "-1.5e300": "-1.500000000e+300",
    "'NaN'": "nan",
    "'Infinity'": "infinity",
    "'-Infinity'": "-infinity",
    "null": None,
}


def macros(engine: str) -> Any:
    return rendered(engine, *FILES)


def read(engine: str, value: str, data_type: str, kind: str) -> str:
    """SQL of what the contract reads in a value of an engine's type."""
    of = macros(engine)
    return str(of.try_cast_raw(of.raw_text(value, kind.upper()), data_type, kind.upper()))


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    opened.execute("set TimeZone = 'UTC'")
    return opened


@pytest.mark.parametrize("data_type", TEXTS)
def test_duckdb_reads_text_as_the_contract_says(
    connection: duckdb.DuckDBPyConnection, data_type: str
) -> None:
    expression = read("duckdb", "v", data_type, "VARCHAR")
    texts = [*TEXTS[data_type], None]
    rows = connection.execute(
        f"select v, {expression} from (select unnest($texts) as v)", {"texts": texts}
    ).fetchall()
    assert dict(rows) == {**TEXTS[data_type], None: None}


def typed_on_duckdb() -> list[tuple[str, str, str, Any]]:
    shared = [
        (kind, value.replace("array(3)", "[3]"), data_type, wanted)
        for kind, _, value, data_type, wanted in TYPED
    ]
    return shared + ONLY_DUCKDB


@pytest.mark.parametrize(("kind", "value", "data_type", "wanted"), typed_on_duckdb())
def test_duckdb_checks_typed_columns_alike(
    connection: duckdb.DuckDBPyConnection, kind: str, value: str, data_type: str, wanted: Any
) -> None:
    expression = read("duckdb", "v", data_type, kind)
    found = connection.execute(f"select {expression} from (select cast({value} as {kind}) as v)")
    assert found.fetchall() == [(wanted,)]


def test_duckdb_reads_bytes_that_are_text(connection: duckdb.DuckDBPyConnection) -> None:
    expression = read("duckdb", "unhex(v)", "varchar", "BLOB")
    rows = connection.execute(
        f"select v, {expression} from (select unnest($texts) as v)", {"texts": list(BYTES)}
    ).fetchall()
    assert dict(rows) == BYTES


def test_blank_bytes_are_missing_and_broken_ones_are_unreadable(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    raw_text = macros("duckdb").raw_text("v", "BLOB")
    query = f"select {raw_text} is null from (select unhex($bytes) as v)"
    assert connection.execute(query, {"bytes": "2009"}).fetchall() == [(True,)]
    assert connection.execute(query, {"bytes": "C3"}).fetchall() == [(False,)]


@pytest.mark.parametrize(("value", "wanted"), NUMBERS.items())
def test_every_double_has_a_text(
    connection: duckdb.DuckDBPyConnection, value: str, wanted: str | None
) -> None:
    text = macros("duckdb").decimal_text("v")
    found = connection.execute(f"select {text} from (select cast({value} as double) as v)")
    assert found.fetchall() == [(wanted,)]


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("data_type", TEXTS)
def test_spark_reads_text_as_the_contract_says(
    spark_session: "SparkSession", data_type: str
) -> None:
    texts = [(text,) for text in [*TEXTS[data_type], None]]
    spark_session.createDataFrame(texts, "v string").createOrReplaceTempView("texts")
    expression = read("spark", "v", data_type, "string")
    rows = spark_session.sql(f"select v, {expression} as found from texts").collect()
    assert {row["v"]: row["found"] for row in rows} == {**TEXTS[data_type], None: None}


@pytest.mark.slow
@pytest.mark.spark
def test_spark_checks_typed_columns_alike(spark_session: "SparkSession") -> None:
    columns = []
    for number, (_, kind, value, data_type, _) in enumerate(TYPED):
        held = value if "array" in kind else f"cast({value} as {kind})"
        columns.append(f"{read('spark', held, data_type, kind)} as c{number}")
    found = spark_session.sql(f"select {', '.join(columns)}").first()
    assert found is not None
    for number, (_, *given, wanted) in enumerate(TYPED):
        assert found[number] == wanted, given


@pytest.mark.slow
@pytest.mark.spark
def test_spark_has_the_same_texts_of_bytes_and_numbers(spark_session: "SparkSession") -> None:
    texts = [read("spark", f"unhex('{value}')", "varchar", "binary") for value in BYTES]
    numbers = [macros("spark").decimal_text(f"cast({value} as double)") for value in NUMBERS]
    found = spark_session.sql(f"select {', '.join([*texts, *numbers])}").first()
    assert found is not None
    assert list(found) == [*BYTES.values(), *NUMBERS.values()]


@pytest.mark.slow
@pytest.mark.spark
def test_spark_composes_every_letter_with_a_mark(spark_session: "SparkSession") -> None:
    apart = []
    for code in range(0xC0, 0x3000):
        parts = unicodedata.normalize("NFD", chr(code))
        is_composed = unicodedata.normalize("NFC", parts) == chr(code)
        if (
            is_composed
            and len(parts) > 1
            and all(0x300 <= ord(mark) <= 0x36F for mark in parts[1:])
        ):
            apart.append((parts,))
    assert len(apart) > 800
    spark_session.createDataFrame(apart, "v string").createOrReplaceTempView("apart")
    rows = spark_session.sql(f"select v, {macros('spark').composed('v')} as found from apart")
    for row in rows.collect():
        assert row["found"] == unicodedata.normalize("NFC", row["v"])
