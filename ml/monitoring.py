"""What monitoring's SQL cannot read by itself: the lake's tables, in the shape it wants.

Monitoring only ever reads what training and publishing wrote. Nothing here is read by a feature, a
label or a model.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from ml import lake, registry
from ml.predictions import OUTCOME, entity_keys
from ml.sql import identifier, text
from ml.use_case import Build

TRAINING_VALUES = pa.schema(
    [
        ("use_case", pa.string()),
        ("model_version", pa.string()),  # the champion's
        ("trained_as_of", pa.timestamp("us")),
        ("feature_name", pa.string()),
        ("number_value", pa.float64()),  # null for a category, and where the value was null
        ("category_value", pa.string()),  # null for a number, and where the value was null
        ("is_category", pa.bool_()),
        ("row_count", pa.int64()),
    ]
)
HISTORY = pa.schema(
    [
        ("use_case", pa.string()),
        ("entity_key", pa.string()),
        ("model_version", pa.string()),
        ("probability", pa.float64()),
        ("risk_category", pa.string()),
        ("prediction_timestamp", pa.timestamp("us")),
    ]
)
ENTITY_SEPARATOR = "/"  # of the parts of a key, as `insightera predictions history` takes them


def training_values(*, build: duckdb.DuckDBPyRelation) -> pa.Table:
    """How often each value of each feature is in the set that each champion was trained on.

    `build`: relation `this_build`. One row (`TRAINING_VALUES`) per use case, feature and distinct
    value, NULL included; read from the Iceberg snapshot that is bound to the champion's version. A
    use case without a champion has no rows. Raises InsighteraError where the snapshot is lost.
    """
    run = Build.of(build.to_arrow_table().to_pylist()[0])
    found = [TRAINING_VALUES.empty_table()]
    for name in sorted(run.use_cases):
        champion = next(
            (v for v in registry.list_versions(name) if registry.CHAMPION in v.aliases), None
        )
        if champion is not None:
            found.append(_values(champion))
    return pa.concat_tables(found)


def prediction_history(*, build: duckdb.DuckDBPyRelation) -> pa.Table:
    """Every prediction ever published that `main` still shows and `as_of` may see (`HISTORY`).

    `build`: relation `this_build`. An entity's keys are one text, joined by `/`. Of two versions
    that scored an entity at one instant the later one counts. A use case that never published has
    no rows.
    """
    run = Build.of(build.to_arrow_table().to_pylist()[0])
    found = [HISTORY.empty_table()]
    for name in sorted(run.use_cases):
        table = run.use_case(name).output_table
        if lake.exists(table) and lake.head(table) is not None:
            found.append(_history(name, table, run))
    return pa.concat_tables(found)


def _values(champion: registry.Version) -> pa.Table:
    """`TRAINING_VALUES` of one champion."""
    reader = lake.read(
        champion.tags["training_table"].removeprefix(f"{lake.NAMESPACE}."),
        snapshot=int(champion.tags["training_snapshot_id"]),
        columns=champion.features,
    )
    with duckdb.connect() as connection:
        connection.register("incoming", reader)
        connection.execute("create table training as from incoming")
        counts = " union all ".join(
            _counted(name, name in champion.categorical) for name in champion.features
        )
        return (
            connection.execute(
                f"""
            select $name as use_case, $version as model_version,
                cast($as_of as timestamp) as trained_as_of, counts.*
            from ({counts}) as counts
            """,  # noqa: S608
                {"name": champion.name, "version": champion.version, "as_of": champion.as_of},
            )
            .to_arrow_table()
            .cast(TRAINING_VALUES)
        )


def _counted(feature: str, is_category: bool) -> str:
    """SQL: the distinct values of one column of `training`, and how many rows have each."""
    column, absent = identifier(feature), "cast(null as {})"
    number = absent.format("double") if is_category else f"cast({column} as double)"
    category = f"cast({column} as varchar)" if is_category else absent.format("varchar")
    return (
        f"select {text(feature)} as feature_name, {number} as number_value, "  # noqa: S608
        f"{category} as category_value, {is_category} as is_category, count(*) as row_count "
        f"from training group by {column}"
    )


def _history(name: str, table: str, run: Build) -> pa.Table:
    """`HISTORY` of one use case."""
    keys: Sequence[str] = entity_keys(table)
    probability = f"{lake.properties(table)[OUTCOME]}_probability"
    own = [probability, "risk_category", "model_version", "prediction_timestamp"]
    reader = lake.read(table, columns=[*keys, *own], at_most={"prediction_timestamp": run.as_of})
    parts = ", ".join(f"cast({identifier(key)} as varchar)" for key in keys)
    version = "(coalesce(try_cast(model_version as bigint), 0), model_version)"
    with duckdb.connect() as connection:
        connection.register("predictions", reader)
        return (
            connection.execute(
                f"""
            select
                $name as use_case,
                concat_ws('{ENTITY_SEPARATOR}', {parts}) as entity_key,
                arg_max(model_version, {version}) as model_version,
                arg_max({identifier(probability)}, {version}) as probability,
                arg_max(risk_category, {version}) as risk_category,
                prediction_timestamp
            from predictions
            group by entity_key, prediction_timestamp
            """,  # noqa: S608
                {"name": name},
            )
            .to_arrow_table()
            .cast(HISTORY)
        )
