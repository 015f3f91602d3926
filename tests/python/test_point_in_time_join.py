"""The join's rules one by one, what it refuses, and the macro in a dbt project of its own."""

import os
import shutil
import subprocess
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import yaml
from conftest import PROJECT, run_dbt

from ml.core.errors import InsighteraError
from ml.core.frames import to_arrow
from ml.features import point_in_time as joins
from ml.features import point_in_time_join

OPEN = datetime(9999, 12, 31)


def day(number: int) -> datetime:
    return datetime(2024, 1, number)


def spine(*rows: tuple[str | None, datetime | None]) -> pa.Table:
    nims, cutoffs = zip(*rows, strict=True)
    return pa.table(
        {"nim": pa.array(nims, pa.string()), "cutoff": pa.array(cutoffs, pa.timestamp("us"))}
    )


def versions(**columns: list) -> pa.Table:
    return pa.table(columns)


def values(spine: object, table: object, column: str = "gpa", **arguments: object) -> list:
    result = point_in_time_join(
        spine, {"academic": table}, entity_keys=["nim"], timestamp="cutoff", **arguments
    )
    return result.column(column).to_pylist()


GRADES = versions(
    nim=["a", "a", "b"],
    valid_from=[day(2), day(5), day(1)],
    valid_to=[day(5), OPEN, day(4)],
    gpa=[3.0, 3.5, 2.0],
)


def test_a_version_holds_from_its_first_instant_to_just_before_its_end():
    instant = timedelta(microseconds=1)
    asked = [day(2) - instant, day(2), day(5) - instant, day(5), day(30)]
    assert values(spine(*(("a", at) for at in asked)), GRADES) == [None, 3.0, 3.0, 3.5, 3.5]
    assert values(spine(("b", day(4) - instant), ("b", day(4))), GRADES) == [2.0, None]


def test_every_row_comes_back_in_order_and_twice_where_it_was_twice():
    rows = [("a", day(9)), ("b", day(2)), ("a", day(9)), (None, day(9)), ("a", None), ("c", day(9))]
    table = spine(*rows).append_column("label", pa.array([5, 4, 3, 2, 1, 0]))
    result = point_in_time_join(
        table, {"academic": GRADES}, entity_keys=["nim"], timestamp="cutoff"
    )
    assert result.select(table.column_names).equals(table)
    assert result.column("gpa").to_pylist() == [3.5, 2.0, 3.5, None, None, None]


def test_a_version_without_an_end_lasts_until_the_next():
    assert values(spine(("a", day(3)), ("a", day(9))), GRADES.drop_columns("valid_to")) == [
        3.0,
        3.5,
    ]


def test_ttl_reaches_exactly_as_far_as_it_says():
    asked = spine(("a", day(8)), ("a", day(8) + timedelta(microseconds=1)))
    assert values(asked, GRADES, ttl=timedelta(days=3)) == [3.5, None]
    assert values(asked, GRADES, ttl=pd.Timedelta(days=4)) == [3.5, 3.5]
    assert values(asked, GRADES, ttl=timedelta.max) == [3.5, 3.5]


# Valid from the 2nd: 3.0 at first; corrected on the 10th to 2.5, which is believed to this day.
CORRECTED = versions(
    nim=["a", "a"],
    valid_from=[day(2), day(2)],
    system_from=[day(2), day(10)],
    system_to=[day(10), OPEN],
    gpa=[3.0, 2.5],
)


@pytest.mark.parametrize(
    ("known_at", "gpa"),
    [
        (None, 2.5),
        (day(2), None),  # what a lake came to know at an instant is not known at it
        (day(3), 3.0),
        (day(10), 3.0),
        (day(10) + timedelta(microseconds=1), 2.5),
        (date(2024, 1, 11), 2.5),
        (np.datetime64("2024-01-09"), 3.0),
        (pd.Timestamp("2024-01-10T07:00:00+07:00"), 3.0),
        (datetime(2024, 1, 10, 0, 1, tzinfo=timezone.utc), 2.5),
    ],
)
def test_known_at_an_instant(known_at, gpa):
    assert values(spine(("a", day(20))), CORRECTED, known_at=known_at) == [gpa]


def test_known_at_a_column_asks_each_row_by_itself():
    asked = spine(*[("a", day(20))] * 4).append_column(
        "seen", pa.array([day(11), day(10), day(2), None], pa.timestamp("us"))
    )
    assert values(asked, CORRECTED, known_at="seen") == [2.5, 3.0, None, None]


def test_a_correction_of_valid_time_gives_back_the_version_it_had_covered():
    table = versions(
        nim=["a", "a", "a"],
        valid_from=[day(1), day(1), day(4)],
        valid_to=[OPEN, day(4), OPEN],
        system_from=[day(1), day(8), day(8)],
        system_to=[day(8), OPEN, OPEN],
        gpa=[1.0, 1.0, 4.0],
    )
    asked = spine(("a", day(6)), ("a", day(6))).append_column("seen", pa.array([day(8), day(9)]))
    assert values(asked, table, known_at="seen") == [1.0, 4.0]


def test_of_versions_that_begin_together_the_last_recorded_wins_then_the_last_row():
    table = versions(
        nim=["a"] * 4,
        valid_from=[day(1)] * 4,
        system_from=[day(2), day(3), day(3), None],
        gpa=[1.0, 2.0, 3.0, 4.0],
    )
    assert values(spine(("a", day(5))), table) == [3.0]
    assert values(spine(("a", day(5))), table.drop_columns("system_from")) == [4.0]


def test_dates_and_time_zones_are_the_same_instants():
    jakarta = pa.timestamp("ms", "Asia/Jakarta")
    table = GRADES.set_column(1, "valid_from", GRADES["valid_from"].cast(jakarta))
    asked = spine(("a", day(2)), ("a", day(1)))
    assert values(asked, table) == [3.0, None]
    as_dates = asked.set_column(1, "cutoff", asked["cutoff"].cast(pa.date32()))
    assert values(as_dates, table) == [3.0, None]
    aware = pd.DataFrame({"nim": ["a"], "cutoff": pd.to_datetime(["2024-01-02T06:59:59+07:00"])})
    assert values(aware, table) == [None]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pa.array([1, 2, None], pa.int16()), pa.array([2, 1, None], pa.uint64())),
        (pa.array([1, 2, None], pa.float64()), pa.array([2, 1, None], pa.int64())),
        (pa.array([-(2**63), 2**63 - 1, 0]), pa.array([2**63 - 1, -(2**63), None])),
        (pa.array([2**53, 2**53 + 1, 0]), pa.array([2**53 + 1, 2**53, 1])),
        (pa.array([0.5, 1.5, float("nan")]), pa.array([1.5, 0.5, float("nan")])),
        (
            pa.array(["x", "y", None]).dictionary_encode(),
            pa.array(["y", "x", None], pa.large_string()),
        ),
        (pa.array([True, False, None]), pa.array([False, True, None])),
        (pa.array([b"x", b"y", None]), pa.array([b"y", b"x", None])),
        (pa.array([date(2024, 1, 1), date(2024, 1, 2), None]), pa.array([day(2), day(1), None])),
    ],
)
def test_keys_match_by_value_whatever_holds_them(left, right):
    asked = pa.table({"nim": left, "cutoff": [day(9)] * 3})
    table = pa.table({"nim": right, "valid_from": [day(1)] * 3, "gpa": ["second", "first", "none"]})
    assert values(asked, table) == ["first", "second", None]


def test_a_key_without_any_value_matches_nothing():
    asked = pa.table({"nim": pa.nulls(2), "cutoff": [day(9)] * 2})
    assert values(asked, GRADES) == [None, None]
    assert values(spine(("a", day(9))), GRADES.slice(0, 0)) == [None]
    assert values(spine(("a", day(9))).slice(0, 0), GRADES) == []


def test_names_are_prefixed_only_where_they_collide():
    table = GRADES.append_column("feature_hash", pa.array(["h"] * 3)).append_column(
        "is_current", pa.array([True] * 3)
    )
    other = table.rename_columns(
        ["nim", "valid_from", "valid_to", "label", "feature_hash", "is_current"]
    )
    asked = spine(("a", day(9))).append_column("label", pa.array([1]))
    result = point_in_time_join(
        asked, {"academic": table, "x y": other}, entity_keys=["nim"], timestamp="cutoff"
    )
    assert result.column_names == [
        "nim", "cutoff", "label", "gpa", "academic__feature_hash", "x y__label", "x y__feature_hash",
    ]  # fmt: skip
    assert result.to_pylist()[0]["x y__label"] == 3.5


def test_names_are_taken_as_they_are_and_never_as_sql():
    names = ['n"im', "row_id", "Entity", "instant'; drop table x --"]
    asked = pa.table({**{name: ["a"] for name in names}, "key_1": [day(9)], "tie": [day(9)]})
    table = pa.table(
        {
            **{name: ["a"] for name in names},
            "valid_from": [day(1)],
            "system_from": [day(1)],
            'x"; --': [7],
        }
    )
    result = point_in_time_join(
        asked, {'f"': table}, entity_keys=names, timestamp="key_1", known_at="tie"
    )
    assert result.column('x"; --').to_pylist() == [7]


def test_every_type_of_feature_comes_back_as_it_was():
    column = {
        "list": pa.array([[1], None, [2, 3]]),
        "struct": pa.array([{"x": 1}, {"x": None}, None]),
        "decimal": pa.array([1, None, 2], pa.decimal128(38, 3)),
        "zone": pa.array([day(1), None, day(2)], pa.timestamp("s", "Asia/Jakarta")),
        "category": pa.array(["u", "v", None]).dictionary_encode(),
        "null": pa.nulls(3),
    }
    table = pa.table({"nim": ["a", "b", "c"], "valid_from": [day(1)] * 3, **column})
    asked = spine(("c", day(2)), ("z", day(2)), ("a", day(2)))
    result = point_in_time_join(asked, {"x": table}, entity_keys=["nim"], timestamp="cutoff")
    for name, held in column.items():
        assert result.column(name).type == held.type
        assert result.column(name).to_pylist() == [held[2].as_py(), None, held[0].as_py()]


def test_a_connection_keeps_nothing_of_it():
    connection = duckdb.connect()
    connection.execute(
        "create table versions as select 'a' as nim, timestamp '2024-01-01' as valid_from, 1 as x"
    )
    connection.execute(
        "create table spine_keys as select 'a' as nim, timestamp '2024-01-03' as cutoff"
    )
    before = connection.execute("select * from duckdb_tables() order by all").fetchall()
    result = point_in_time_join(
        connection.table("spine_keys"),
        {"x": connection.table("versions")},
        entity_keys=["nim"],
        timestamp="cutoff",
        connection=connection,
    )
    assert result.column("x").to_pylist() == [1]
    assert connection.execute("select * from duckdb_tables() order by all").fetchall() == before
    assert connection.execute("select count(*) from spine_keys").fetchone() == (1,)


def test_duckdb_walks_sorted_rows_as_a_stream():
    """The variant for DuckDB relies on the order of a subquery: only a streaming window keeps it."""
    timeline = (
        "create table timeline (entity uint32, instant timestamp, row_id int32, valid_to timestamp)"
    )
    connection = duckdb.connect()
    connection.execute(timeline)
    query = joins._macros().version_before("timeline", ["entity"], ["instant"], ["valid_to"])
    plan = connection.execute(f"explain {query}").fetchall()[0][1]
    assert "STREAMING_WINDOW" in plan
    assert "ORDER_BY" in plan


NO_SYSTEM_TIME = GRADES.drop_columns("valid_to")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"features": {}}, "names no feature table"),
        ({"features": [GRADES]}, "names no feature table"),
        ({"features": {"": GRADES}}, "each must be a text"),
        ({"entity_keys": "nim"}, "pass a list"),
        ({"entity_keys": []}, "pass a list"),
        ({"entity_keys": ["nim", "nim"]}, "pass a list"),
        ({"entity_keys": ["nik"]}, r"the spine has no column \['nik'\]"),
        ({"features": {"x": GRADES.drop_columns("nim")}}, "feature table 'x' has no column"),
        ({"features": {"x": GRADES.drop_columns("valid_from")}}, r"no column \['valid_from'\]"),
        ({"timestamp": "when"}, r"the spine has no column \['when'\]"),
        ({"timestamp": None}, "name of a spine's column"),
        ({"timestamp": "nim"}, "'nim' of the spine is string"),
        ({"features": {"x": GRADES.set_column(1, "valid_from", [[1, 2, 3]])}}, "is int64"),
        ({"features": {"x": GRADES.set_column(0, "nim", [[1, 2, 3]])}}, "cannot be compared"),
        ({"features": {"x": GRADES.set_column(0, "nim", [[["a"]] * 3])}}, "cannot be compared"),
        ({"known_at": "when"}, r"no column \['when'\]"),
        ({"known_at": "nim"}, "'nim' of the spine"),
        ({"known_at": 5}, "an instant"),
        ({"known_at": pd.NaT}, "an instant"),
        ({"known_at": np.datetime64("NaT")}, "an instant"),
        ({"known_at": day(5)}, r"no column \['system_from'\]"),
        ({"join_key_map": ["a"]}, "pass a dict of each side's keys"),
        ({"join_key_map": {"a": {"nim": 5}}}, "pass a dict of each side's keys"),
        ({"entity_keys": ["x"], "join_key_map": {"a": {"nim": "absent"}}}, r"the spine has no column \['absent'\]"),
        ({"entity_keys": ["x"], "join_key_map": {"a": {"kode": "nim"}}}, r"no column \['x'\]"),
        ({"ttl": 5}, "timedelta"),
        ({"ttl": timedelta(days=-1)}, "not negative"),
        ({"spine": 5}, "is a int"),
        ({"features": {"x": "table"}}, "feature table 'x' is a str"),
        ({"spine": pd.DataFrame({"nim": ["a", 1], "cutoff": [day(1)] * 2})}, "the spine cannot be read"),
        ({"spine": spine(("a", day(1))).append_column("nim", [["a"]])}, "more than one column"),
        ({"features": {"x": GRADES.append_column("cutoff", [[1] * 3]).append_column("x__cutoff", [[1] * 3])}}, "more than one column"),
        ({"spine": pa.table({"nim": ["a"], "cutoff": pa.array([1], pa.timestamp("ns"))})}, "microseconds"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_said_so(changed, said):
    arguments = {
        "spine": spine(("a", day(9))),
        "features": {"academic": GRADES},
        "entity_keys": ["nim"],
        "timestamp": "cutoff",
        **changed,
    }
    with pytest.raises(InsighteraError, match=said):
        point_in_time_join(arguments.pop("spine"), arguments.pop("features"), **arguments)


def test_frames_of_every_engine_become_arrow():
    frame = pl.DataFrame({"x": ["a", None], "y": [1, 2]})
    expected = frame.to_arrow().to_pylist()
    connection = duckdb.connect()
    held = [
        frame,
        frame.lazy(),
        frame.to_pandas(),
        frame.to_arrow(),
        frame.to_arrow().to_batches()[0],
        connection.sql("select * from frame"),
    ]
    assert [to_arrow(each, "it").to_pylist() for each in held] == [expected] * len(held)
    connection.execute("create table gone as select 1 as x")
    relation = connection.table("gone")
    connection.execute("drop table gone")
    with pytest.raises(InsighteraError, match="it cannot be read"):
        to_arrow(relation, "it")


MODELS = {
    "label_x": "{{ config(materialized='table') }} select * from raw.spine",
    "features_academic": "select * from raw.academic",
    "features_engagement": "{{ config(materialized='table') }} select * from raw.engagement",
    "now": "{{ point_in_time_join(ref('label_x'), tables, ['nim', 'prodi'], 'cutoff') }}",
    "fresh": "{{ point_in_time_join(ref('label_x'), tables, ['NIM', 'prodi'], 'Cutoff', "
    "ttl=\"interval '3 days'\") }}",
    "then": "{{ point_in_time_join(ref('label_x'), tables, ['nim', 'prodi'], 'cutoff', "
    "known_at='seen') }}",
    "of_pairs": "{{ point_in_time_join('select * from raw.pairs where true', "
    "{'academic': ref('features_academic'), 'engagement': ref('features_engagement')}, "
    "['x', 'y'], 'Cutoff', known_at='seen', "
    "join_key_map={'a': {'NIM': 'x', 'prodi': 'p'}, 'b': {'nim': 'Y', 'prodi': 'p'}}) }}",
    "at_an_instant": "{{ point_in_time_join('select * from raw.spine where true', tables, "
    "['nim', 'prodi'], 'cutoff', known_at=\"timestamp '2024-01-06'\") }}",
}
TABLES = (
    "{% set tables = {'academic': ref('features_academic'), "
    "'engagement': ref('features_engagement')} %}"
)


BROKEN = [  # the macro's arguments, and what it says of them
    ("'select 1 as nim', {}, ['nim'], 'cutoff'", "name at least one feature table"),
    ("'select 1 as nim', {'x': spine}, [], 'nim'", "one entity key"),
    ("spine, {'x': spine}, ['nik'], 'cutoff'", "the spine has no column `nik`"),
    ("spine, {'x': spine}, ['nim'], 'cutoff'", "`x` has no column `valid_from`"),
    ("spine, {'y': 'select 1 as nim, now() as valid_from'}, ['nim'], 'cutoff', none, 'seen'",
     "`y` has no `system_from`"),
]  # fmt: skip


@pytest.fixture(scope="module")
def dbt_project(tmp_path_factory):
    """A dbt project with the join's macros and nothing else, built once over random tables."""
    root = tmp_path_factory.mktemp("pit")
    for name in (*joins.MACROS, "point_in_time_columns", "engine/columns_of_query"):
        (root / "macros" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "macros" / f"{name}.sql", root / "macros" / f"{name}.sql")
    (root / "models").mkdir()
    for name, query in MODELS.items():
        (root / "models" / f"{name}.sql").write_text((TABLES if "tables" in query else "") + query)
    (root / "models" / "broken").mkdir()
    for number, (call, _) in enumerate(BROKEN):
        query = "{% set spine = 'raw.spine' %}{{ point_in_time_join(" + call + ") }}"
        (root / "models" / "broken" / f"broken_{number}.sql").write_text(query)
    settings = {"name": "pit", "version": "0.1.0", "profile": "pit"}
    (root / "dbt_project.yml").write_text(yaml.safe_dump(settings))
    # A session's own time zone must make no difference.
    output = {
        "type": "duckdb",
        "path": str(root / "w.duckdb"),
        "settings": {"TimeZone": "Asia/Jakarta"},
    }
    profiles = {"pit": {"target": "local", "outputs": {"local": output}}}
    (root / "profiles.yml").write_text(yaml.safe_dump(profiles))
    with duckdb.connect(str(root / "w.duckdb")) as connection:
        connection.execute(
            """
            set TimeZone = 'UTC';
            create schema raw;
            select setseed(0.3);
            create function day(n) as timestamp '2024-01-01' + to_days(cast(n as integer));
            create table raw.spine as select
                case when random() < 0.9 then 'n' || floor(random() * 6) end as nim,
                cast(floor(random() * 2) as integer) as prodi,
                cast(day(floor(random() * 12)) as timestamptz) as "Cutoff",
                day(floor(random() * 12)) as seen, range as label
                from range(300);
            create table raw.pairs as select
                one.nim as x, two.nim as y, one.prodi as p, one."Cutoff", one.seen, one.label as n
                from raw.spine as one inner join raw.spine as two on one.label = 299 - two.label;
            create table raw.academic as select
                'n' || floor(random() * 6) as nim, cast(floor(random() * 2) as integer) as prodi,
                cast(day(floor(random() * 10)) as date) as valid_from,
                day(floor(random() * 14)) as valid_to,
                day(floor(random() * 10)) as system_from,
                case when random() < 0.5 then timestamp '9999-12-31'
                    else day(floor(random() * 12)) end as system_to,
                true as is_current, range as "GPA", 'h' || range as feature_hash
                from range(200);
            create table raw.engagement as select
                'n' || floor(random() * 6) as nim, cast(floor(random() * 2) as integer) as prodi,
                cast(day(floor(random() * 10)) as timestamptz) as valid_from,
                day(floor(random() * 10)) as system_from, range as label, range as feature_hash,
                case when range % 3 > 0 then day(floor(random() * 5)) - interval 9 hours end as label__since
                from range(200);
            drop function day;
            """
        )
    return root


def dbt(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    target = str(root / "target")
    own = {"DBT_PROFILES_DIR": str(root), "DBT_TARGET_PATH": target, "DBT_LOG_PATH": target}
    return run_dbt(root, os.environ | own | {"DO_NOT_TRACK": "1"}, *arguments)


def test_the_macro_says_what_the_function_says(dbt_project):
    unbuilt = dbt(dbt_project, "compile", "--exclude", "broken")
    assert unbuilt.returncode == 0, unbuilt.stdout
    built = dbt(dbt_project, "build", "--exclude", "broken")
    assert built.returncode == 0, built.stdout
    arguments = {
        "now": {},
        "fresh": {"ttl": timedelta(days=3)},
        "then": {"known_at": "seen"},
        "at_an_instant": {"known_at": datetime(2024, 1, 6)},
    }
    with duckdb.connect(str(dbt_project / "w.duckdb"), read_only=True) as connection:
        tables = {name: connection.table(f"raw.{name}") for name in ("academic", "engagement")}
        found = set()
        for model, given in arguments.items():
            expected = point_in_time_join(
                connection.table("raw.spine"),
                tables,
                entity_keys=["nim", "prodi"],
                timestamp="Cutoff",
                connection=connection,
                **given,
            )
            held = connection.table(model).to_arrow_table()
            assert held.column_names == expected.column_names
            assert held.column_names == [
                "nim", "prodi", "Cutoff", "seen", "label", "GPA", "academic__feature_hash",
                "engagement__label", "engagement__feature_hash",
            ]  # fmt: skip
            assert held.to_pylist() == expected.to_pylist()
            found.add(tuple(held.column("GPA").to_pylist()))
        expected = point_in_time_join(
            connection.table("raw.pairs"),
            tables,
            entity_keys=["x", "y"],
            timestamp="Cutoff",
            known_at="seen",
            join_key_map={
                "a": {"nim": "x", "prodi": "p"},
                "b": {"nim": "y", "prodi": "p"},
            },
            connection=connection,
        )
        held = connection.table("of_pairs").to_arrow_table()
        assert held.column_names == expected.column_names
        assert held.column_names == [
            "x", "y", "p", "Cutoff", "seen", "n", "a__GPA", "a__academic__feature_hash",
            "b__GPA", "b__academic__feature_hash", "a__label", "a__engagement__feature_hash",
            "b__label", "b__engagement__feature_hash",
        ]  # fmt: skip
        assert held.to_pylist() == expected.to_pylist()
        assert held["a__GPA"].to_pylist() != held["b__GPA"].to_pylist()
        assert len(found) == len(arguments), "the arguments make no difference: too plain a test"


def test_the_macro_refuses_what_it_cannot_join(dbt_project):
    failed = dbt(dbt_project, "build", "--select", "broken")
    assert failed.returncode == 1, failed.stdout
    for _, said in BROKEN:
        assert said in failed.stdout
