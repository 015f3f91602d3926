"""The project's generic data tests, and the one that `feature_table` brings: sound rows pass, and each defect that a test
names is found."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conftest import PROJECT

from ml.core.frames import to_spark
from ml.core.macros import rendered

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = {
    "feature versions": """
        select
            *,
            valid_from - interval 1 hour as feature_timestamp,
            valid_from - interval 1 microsecond as system_from,
            timestamp '9999-12-31' as system_to
        from (values
            ('a', timestamp '2024-01-01', timestamp '2024-02-01', false, 'h1'),
            ('a', timestamp '2024-02-01', timestamp '9999-12-31', true, 'h2')
        ) as versions (nim, valid_from, valid_to, is_current, feature_hash)
    """,
    "predictions": """
        from (values
            ('a', 0.1, 10.0, 'Low', date '2024-01-01', date '2024-01-02'),
            ('b', 0.3, 30.0, 'Medium', date '2024-01-01', date '2024-01-02'),
            ('c', 0.9, 90.0, 'High', date '2024-01-01', date '2024-01-02')
        ) as predictions (nim, probability, score, category, known, made)
    """,
    "labels": """
        from (values
            ('a', timestamp '2024-01-01', 0), ('b', timestamp '2024-02-01', 1),
            ('a', timestamp '2024-07-01', null), ('a', timestamp '2024-08-01 12:00', null)
        ) as labels (nim, cutoff, label)
    """,
    "forecasts": """
        from (values
            ('a', '2023-2', 1, timestamp '2023-10-01', timestamp '2024-04-01', 10.0),
            ('a', '2024-1', 2, timestamp '2023-10-01', timestamp '2024-08-01 12:00', 0.0),
            ('a', '2024-1', 1, timestamp '2024-04-01', timestamp '2024-08-01 12:01', null),
            ('b', '2024-1', 1, timestamp '2024-08-01 12:00', timestamp '2024-10-01', null)
        ) as forecasts (nim, target_period, horizon, cutoff, matures_at, label)
    """,
}
AS_OF = "2024-08-01 12:00"
BUILT_IN = "feature_faults_sql"  # what `feature_table` asks of every table that it makes
MOVED = (
    "select * replace (if(is_current, valid_to, valid_to + interval '{}') as valid_to) from sound"
)
CORRECTED = """
    select * replace (if(is_current, timestamp '2024-03-01', system_from) as system_from) from sound
    union all by name
    select * replace (timestamp '{}' as system_to, 'h0' as feature_hash) from sound where is_current
"""
NULLED = "select * replace (if(is_current, null, {0}) as {0}) from sound"
TESTS: list[tuple[str, str, dict[str, Any], list[str], list[str]]] = [
    # test, rows, arguments, what else is sound, defects
    (
        BUILT_IN,
        "feature versions",
        {"entity_keys": ["nim"]},
        [CORRECTED.format("2024-03-01")],
        [
            *map(NULLED.format, ("nim", "valid_from", "valid_to", "feature_timestamp")),
            *map(NULLED.format, ("system_from", "system_to", "is_current", "feature_hash")),
            *map(MOVED.format, ("1 day", "-1 day", "-31 day")),
            CORRECTED.format("2024-03-02"),
            "select * replace ('h' as feature_hash) from sound",
            "select * replace (true as is_current) from sound",
            "select * replace (valid_from as feature_timestamp) from sound",
            "select * replace (valid_from - interval 1 hour as system_from) from sound",
            "select * replace (system_from as system_to) from sound",
            "from sound where not is_current",
        ],
    ),
    (
        "versions_without_gap",
        "feature versions",
        {"entity_keys": ["nim"]},
        [],
        [
            *map(NULLED.format, ("nim", "valid_from", "valid_to")),
            *map(MOVED.format, ("1 day", "-1 day", "-31 day")),
            "from sound where not is_current",
        ],
    ),
    (
        "primary_key",
        "predictions",
        {"columns": ["nim", "made"]},
        ["select * replace ('a' as nim, known + score::integer as made) from sound"],
        [
            "from sound union all from sound where nim = 'b'",
            "select * replace (nullif(nim, 'b') as nim) from sound",
            "select * replace (if(nim = 'b', null, made) as made) from sound",
        ],
    ),
    (
        "never_null",
        "predictions",
        {"columns": ["nim", "score"]},
        ["select * replace (null as made) from sound"],
        [
            "select * replace (nullif(nim, 'b') as nim) from sound",
            "select * replace (nullif(score, 30) as score) from sound",
        ],
    ),
    (
        "in_range",
        "predictions",
        {"column_name": "score", "minimum": 10, "maximum": 90},
        [],
        [
            f"select * replace ({value} as score) from sound"
            for value in (9.9, 90.1, "'nan'::float")
        ],
    ),
    (
        "known_before",
        "predictions",
        {"earlier": "known", "later": "made"},
        [],
        ["select * replace (made as known) from sound"],
    ),
    (
        "none_where",
        "predictions",
        {"condition": "score > 90"},
        [],
        ["select * replace (score + 1 as score) from sound"],
    ),
    (
        "probability_agrees",
        "predictions",
        {
            **{name: name for name in ("probability", "score", "category")},
            "thresholds": {"Low": 0.0, "Medium": 0.3, "High": 0.6},
        },
        [],
        [
            "select * replace (score + 0.001 as score) from sound",
            "select * replace (if(nim = 'b', 'Low', category) as category) from sound",
        ],
    ),
    (
        "label_spine",
        "labels",
        {"entity_keys": ["nim"], "horizon_days": 180},
        ["from sound where label is not null"],
        [
            "select * replace (nullif(nim, 'b') as nim) from sound",
            "select * replace (if(nim = 'b', null, cutoff) as cutoff) from sound",
            "select * replace (coalesce(label, 0) as label) from sound",
            "select * replace (nullif(label, 0) as label) from sound",
            "select * replace (0.5 * label as label) from sound",
            f"select * replace (cutoff + interval 1 minute as cutoff) from sound where cutoff = '{AS_OF}'",
        ],
    ),
    (
        "forecast_spine",
        "forecasts",
        {"entity_keys": ["nim"]},
        ["from sound where label is not null"],
        [
            *(
                f"select * replace (if(nim = 'b', null, {name}) as {name}) from sound"
                for name in ("nim", "target_period", "horizon", "cutoff", "matures_at")
            ),
            "select * replace (coalesce(label, 0) as label) from sound",
            "select * replace (nullif(label, 0) as label) from sound",
            "select * replace (matures_at + interval 1 minute as matures_at) from sound",
            "select * replace (horizon - 1 as horizon) from sound",
            "select * replace (if(nim = 'b', cutoff, matures_at) as matures_at) from sound",
            f"select * replace (cutoff + interval 1 minute as cutoff) from sound where cutoff = '{AS_OF}'",
            *(
                f"select * replace ('{value}'::double + label as label) from sound"
                for value in ("inf", "-inf", "nan")
            ),
        ],
    ),
    (
        "anomaly_spine",
        "labels",
        {"entity_keys": ["nim"]},
        ["select * exclude (label) from sound"],
        [
            "select * replace (nullif(nim, 'b') as nim) from sound",
            "select * replace (if(nim = 'b', null, cutoff) as cutoff) from sound",
            f"select * replace (cutoff + interval 1 minute as cutoff) from sound where cutoff = '{AS_OF}'",
        ],
    ),
    (
        "share_at_most",
        "predictions",
        {"condition": "category = 'High'", "most": 0.34},
        [],
        ["from sound where nim <> 'b'"],
    ),
    (
        "flagged_at_most",
        "predictions",
        {"condition": "category = 'High'", "most": 0.34, "spine": "population"},
        ["from sound limit 1"],
        ["from sound union all from sound"],
    ),
]


def read_by(engine: str) -> Any:
    """The data tests as an engine reads them, each by its name."""
    used = (
        "history/end_of_time",
        "feature_table/feature_same_entity",
        "feature_table/feature_audit_columns",
        "build/as_of",
        "engine/try_cast_raw",
    )
    names = [test[0] for test in TESTS]
    files = {name: f"../tests/generic/{name}" for name in names} | {
        BUILT_IN: f"feature_table/{BUILT_IN}"
    }
    found = vars(rendered(engine, *used, *files.values(), ref=lambda name: name))
    return SimpleNamespace(**{name: found.get(f"test_{name}") or found[name] for name in names})


@pytest.fixture(scope="module")
def data_tests() -> Any:
    """On DuckDB."""
    return read_by("duckdb")


def rows_returned(test: Callable[..., str], sound: str, model: str, arguments: dict) -> int:
    """How many rows the data test finds in `model`, SQL over the table `sound`."""
    with duckdb.connect() as connection:
        for name, query in tables_of(sound, model).items():
            connection.execute(f"create table {name} as {query}")
        return len(connection.execute(str(test("model", **arguments))).fetchall())


def tables_of(sound: str, model: str) -> dict[str, str]:
    """What a data test reads, as DuckDB's SQL."""
    return {
        "sound": ROWS[sound],
        "model": model,
        "population": f"select timestamp '{AS_OF}' as cutoff from range(3)",
        "this_build": f"select timestamp '{AS_OF}' as as_of",
    }


@pytest.mark.parametrize(("name", "rows", "arguments", "others"), [test[:4] for test in TESTS])
def test_sound_rows_pass(
    data_tests: Any, name: str, rows: str, arguments: dict, others: list[str]
) -> None:
    test = getattr(data_tests, name)
    for model in ("from sound", *others):
        assert rows_returned(test, rows, model, arguments) == 0, model


@pytest.mark.parametrize(
    ("name", "rows", "arguments", "defect"),
    [(*test[:3], defect) for test in TESTS for defect in test[4]],
)
def test_a_defect_is_found(
    data_tests: Any, name: str, rows: str, arguments: dict, defect: str
) -> None:
    assert rows_returned(getattr(data_tests, name), rows, defect, arguments) > 0


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("name", [test[0] for test in TESTS if test[0].endswith("_spine")])
def test_spark_finds_the_same_rows_of_a_label(spark_session: "SparkSession", name: str) -> None:
    (sound, arguments, others, defects) = next(test[1:] for test in TESTS if test[0] == name)
    on_spark = getattr(read_by("spark"), name)
    for model in ("from sound", *others, *defects):
        with duckdb.connect() as connection:
            for table, query in tables_of(sound, model).items():
                connection.execute(f"create table {table} as {query}")
                rows = connection.table(table).to_arrow_table()
                to_spark(rows, spark_session).createOrReplaceTempView(table)
        found = spark_session.sql(str(on_spark("model", **arguments))).count()
        assert (found > 0) == (model in defects), model


def test_every_data_test_is_tested() -> None:
    """All but the one that asks dbt for the columns of a relation."""
    names = {path.stem for path in (PROJECT / "tests/generic").glob("*.sql")}
    assert names == {test[0] for test in TESTS} - {BUILT_IN} | {"raw_contract"}
