"""The rules of the raw contract, in SQL: names and values are taken as they are, and a row alone breaks
no other's."""

import re
from collections.abc import Mapping
from types import SimpleNamespace
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
            "computed_once",
            "matches_whole",
            "plain_text",
            "raw_kind",
            "row_struct",
            "text_literal",
            "text_of_bytes",
            "try_cast_raw",
            "utc_timestamp",
        )
    ),
    *(
        f"raw/{name}"
        for name in (
            "is_visible",
            "plausible_from",
            "raw_checked",
            "raw_loaded_at",
            "raw_orphans",
            "raw_pattern",
            "raw_references",
            "raw_ruled",
            "raw_text",
        )
    ),
)
VARS = {"plausible_from": "1950-01-01", "plausible_years_ahead": 10}
Meta = Mapping[str, Any]


def table(columns: Mapping[str, tuple[str, Meta]], **meta: Any) -> SimpleNamespace:
    """A table of a contract, as dbt shows it: columns by name, each with its type and `meta`."""
    times: dict[str, tuple[str, Meta]] = {
        "recorded_at": ("timestamp", {"required": True}),
        "loaded_at": ("timestamp", {}),
    }
    return SimpleNamespace(
        columns={
            name: SimpleNamespace(data_type=data_type, meta=rules)
            for name, (data_type, rules) in {**columns, **times}.items()
        },
        meta={"key": list(columns)[:1], **meta},
    )


class Meant(dict):
    """dbt's `meta`: its entries are attributes too."""

    __getattr__ = dict.__getitem__


def macros(engine: str, tables: Mapping[str, SimpleNamespace], text: str = "VARCHAR") -> Any:
    """The macros over relations of the tables' names, all of whose columns are text."""

    def described(_: str, name: str) -> SimpleNamespace:
        held = tables[name]
        held.meta = Meant(held.meta)
        for column in held.columns.values():
            column.meta = Meant(column.meta)
        return held

    def refused(message: str) -> None:
        raise ValueError(message)

    def variable(name: str) -> Any:
        return VARS[name]

    return rendered(
        engine,
        *FILES,
        raw=lambda _, name: name,
        raw_columns=described,
        raw_tables=lambda: [("siakad", name) for name in tables],
        raw_types=lambda name: dict.fromkeys((c.lower() for c in tables[name].columns), text),
        build_started_at=lambda: "timestamp '2024-06-01 00:00:00'",
        as_of=lambda: "timestamp '2024-06-01 00:00:00'",
        ref=lambda name: name,
        var=variable,
        modules=SimpleNamespace(re=re),
        exceptions=SimpleNamespace(raise_compiler_error=refused),
    )


def reasons(contract: SimpleNamespace, *rows: Mapping[str, str | None]) -> list[str | None]:
    """The first rule that each row breaks, on DuckDB."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        fill(connection, "held", contract, rows)
        checked = macros("duckdb", {"held": contract}).raw_checked("siakad", "held")
        found = connection.execute(f"select quarantine_reason from ({checked}) order by line")
        return [reason for (reason,) in found.fetchall()]


def fill(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    contract: SimpleNamespace,
    rows: tuple[Mapping[str, str | None], ...],
) -> None:
    columns = ", ".join('"' + c.replace('"', '""') + '" varchar' for c in contract.columns)
    connection.execute(f"create table {name} ({columns})")
    for row in rows:
        marks = ", ".join("?" for _ in contract.columns)
        values = [row.get(c, "2024-01-01" if c.endswith("_at") else None) for c in contract.columns]
        connection.execute(f"insert into {name} values ({marks})", values)


LINE: dict[str, tuple[str, Meta]] = {"line": ("integer", {"required": True})}


@pytest.mark.parametrize(
    "name",
    [
        "select",
        "order",
        "tahun ajaran",
        'a "quoted" one',
        "it's",
        "x" * 150,
        "Größe",
        "2024",
        "a.b",
    ],
)
def test_a_column_may_be_called_anything(name: str) -> None:
    contract = table({**LINE, name: ("integer", {"required": True, "min": 1, "max": 9})})
    found = reasons(
        contract,
        {"line": "1", name: "5"},
        {"line": "2", name: None},
        {"line": "3", name: "x"},
        {"line": "4", name: "0"},
        {"line": "5", name: "10"},
    )
    assert found == [
        None,
        f"missing {name}",
        f"unreadable {name}: no integer",
        f"{name} below 1",
        f"{name} above 9",
    ]


def test_an_allowed_value_may_hold_quotes() -> None:
    contract = table({**LINE, "asal": ("varchar", {"allowed": ["Ma'had", 'the "other"', r"a\n"]})})
    values = ["Ma'had", 'the "other"', r"a\n", "Mahad", None]
    found = reasons(contract, *({"line": str(n), "asal": v} for n, v in enumerate(values)))
    assert found == [None, None, None, "unknown asal", None]


def test_a_key_may_be_called_anything() -> None:
    contract = table({**LINE, "group": ("varchar", {})}, key=["group"])
    found = reasons(contract, *({"line": str(n), "group": "a"} for n in range(2)))
    assert found == [None, "duplicate key (group)"]


def test_instants_out_of_the_plausible_range_are_quarantined() -> None:
    contract = table(
        {
            **LINE,
            "tanggal": ("date", {}),
            "tenggat": ("timestamp", {}),
            "lahir": ("date", {"min": "1900-01-01"}),
        },
        event_time="tanggal",
    )
    found = reasons(
        contract,
        {"line": "1", "tanggal": "1950-01-01"},
        {"line": "2", "tanggal": "1949-12-31"},
        {"line": "3", "recorded_at": "1900-01-01", "loaded_at": "1900-01-01"},
        {"line": "4", "tenggat": "2034-05-31 23:59:59"},
        {"line": "5", "tenggat": "2204-06-01"},
        {"line": "6", "tenggat": "1940-06-01"},
        {"line": "7", "lahir": "1940-06-01"},
        {"line": "8", "lahir": "1899-12-31"},
        {"line": "9", "tanggal": "2024-01-02"},
        {"line": "10", "loaded_at": "2204-01-01"},
    )
    assert found == [
        None,
        "tanggal before 1950-01-01",
        "recorded_at before 1950-01-01",
        None,
        "tenggat more than 10 years ahead",
        "tenggat before 1950-01-01",
        None,
        "lahir before 1900-01-01",
        "tanggal after recorded_at",
        "loaded_at in the future",
    ]


def test_a_first_day_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VARS, "plausible_from", "1950")
    with pytest.raises(ValueError, match="write 1950-01-01"):
        macros("duckdb", {}).plausible_from()


STUDENT = table({"nim": ("varchar", {"required": True})})
GRADE = table(
    {
        **LINE,
        "nim": ("varchar", {"required": True, "references": "siakad.student.nim"}),
        "kode": ("varchar", {"references": "siakad.course.kode"}),
    }
)
COURSE = table({"kode": ("varchar", {"required": True})})
TABLES = {"student": STUDENT, "grade": GRADE, "course": COURSE}
STUDENTS = ({"nim": "S1 "}, {"nim": "S2", "recorded_at": "1900-01-01"}, {"nim": "José"})
GRADES = (
    {"line": "1", "nim": "S1"},
    {"line": "2", "nim": "S1\t", "kode": "MK1"},
    {"line": "3", "nim": "S1.0"},
    {"line": "4", "nim": "S2"},  # whose student is in quarantine
    {"line": "5", "nim": "Jose\u0301"},
    {"line": "six", "nim": "S9"},  # in quarantine itself
    {"line": "7", "nim": None},
    {"line": "8", "nim": "S9", "loaded_at": "2024-06-01"},  # not yet to be seen
)
COUNTED = {
    ("kode", 1, 0, None, "MK1", None),  # of a table without rows nothing can be said
    ("nim", 5, 2, 2, "S1.0", "José"),
}
SHOWN = "column_name, row_count, parent_count, orphan_count, example_orphan, example_parent"


def orphans(of: Any, tables: Mapping[str, SimpleNamespace]) -> str:
    """The query of the model `orphans`."""
    named = ", ".join(f"siakad_{name} as ({of.raw_references('siakad', name)})" for name in tables)
    return f"with {named}, counts as ({of.raw_orphans()}) select {SHOWN} from counts"


def test_rows_that_name_what_is_not_there_are_counted() -> None:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, rows in (("student", STUDENTS), ("grade", GRADES), ("course", ())):
            fill(connection, name, TABLES[name], rows)
        query = orphans(macros("duckdb", TABLES), TABLES)
        assert set(connection.execute(query).fetchall()) == COUNTED


def test_a_reference_to_no_column_is_refused() -> None:
    spoilt = table({"nim": ("varchar", {"references": "student.nim"})})
    with pytest.raises(ValueError, match=r"siakad\.spoilt\.nim: references is"):
        macros("duckdb", {"spoilt": spoilt}).contract_references()


@pytest.mark.slow
@pytest.mark.spark
def test_spark_keeps_the_same_rules(spark_session: "SparkSession") -> None:
    odd = table(
        {
            **LINE,
            "tahun ajaran": ("varchar", {"allowed": ["Ma'had", r"a\n"]}),
            "order": ("timestamp", {}),
        }
    )
    rows = (
        {"line": "1", "tahun ajaran": "Ma'had", "order": "2034-05-31"},
        {"line": "2", "tahun ajaran": r"a\n", "order": "2034-06-02"},
        {"line": "3", "tahun ajaran": "Mahad"},
        {"line": "4", "order": "1949-12-31 23:59"},
        {"line": "1"},
    )
    given = {"odd": rows, "student": STUDENTS, "grade": GRADES, "course": ()}
    tables = {**TABLES, "odd": odd}
    for name, held in given.items():
        values = [
            tuple(
                r.get(c, "2024-01-01" if c.endswith("_at") else None) for c in tables[name].columns
            )
            for r in held
        ]
        kinds = ", ".join(f"`{c}` string" for c in tables[name].columns)
        spark_session.createDataFrame(values, kinds).createOrReplaceTempView(name)
    of = macros("spark", tables, "STRING")
    found = spark_session.sql(
        f"select quarantine_reason from ({of.raw_checked('siakad', 'odd')}) order by raw_line, 1"
    ).collect()
    assert [reason for (reason,) in found] == [
        None,
        "duplicate key (line)",
        "order more than 10 years ahead",
        "unknown tahun ajaran",
        "order before 1950-01-01",
    ]
    counted = spark_session.sql(orphans(macros("spark", TABLES, "STRING"), TABLES)).collect()
    assert {tuple(row) for row in counted} == COUNTED


@pytest.mark.slow
@pytest.mark.spark
def test_spark_writes_a_cast_once_however_many_rules_read_it(spark_session: "SparkSession") -> None:
    """Else a plan grows by every filter, rule and renaming over the casts, until no memory holds it."""
    wide = table({**LINE, **{f"instant_{n}": ("timestamp", {}) for n in range(10)}})
    kinds = ", ".join(f"`{column}` string" for column in wide.columns)
    spark_session.createDataFrame([], kinds).createOrReplaceTempView("wide")
    checked = macros("spark", {"wide": wide}, "STRING").raw_checked("siakad", "wide")
    kept = f"select * from ({checked}) where quarantine_reason is null"
    planned = spark_session.sql(
        f"select one.* from ({kept}) as one join ({kept}) as two using (line, recorded_at)"
    )._jdf.queryExecution()
    spark_session.conf.set("spark.sql.debug.maxToStringFields", 1000)
    written, optimised = planned.analyzed().toString(), planned.optimizedPlan().toString()
    assert optimised.count("regexp_replace") <= written.count("regexp_replace") > 0
    assert len(optimised) < 2 * len(written)
