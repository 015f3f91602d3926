"""What monitoring's SQL cannot read by itself: the lake's tables, in the shape it wants.

Monitoring only ever reads what training and publishing wrote. Nothing here is read by a feature, a
label or a model.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from ml import lake, registry
from ml.predictions import OUTCOME, entity_keys
from ml.sql import identifier
from ml.use_case import Build

VERSION = pa.schema([("model_version", pa.string()), ("trained_as_of", pa.timestamp("us"))])
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


def training_set(name: str, *, build: duckdb.DuckDBPyRelation) -> pa.Table:
    """What the champion of use case `name` was trained on: its version, then its features.

    `build`: relation `this_build`. Read from the Iceberg snapshot that is bound to the version;
    numbers are float64, booleans 0 and 1, categories strings. Without a champion no rows and no
    features. Raises InsighteraError for an unknown use case, or where the snapshot is lost.
    """
    Build.read(build).use_case(name)
    champion = registry.champion_entry(name)
    if champion is None:
        return VERSION.empty_table()
    rows = lake.read_table(
        champion.tags["training_table"].removeprefix(f"{lake.NAMESPACE}."),
        snapshot=int(champion.tags["training_snapshot_id"]),
        columns=champion.features,
    ).select(champion.features)
    known = (champion.version, champion.as_of)
    for position, (field, value) in enumerate(zip(VERSION, known, strict=True)):
        constant = pa.repeat(pa.scalar(value, field.type), rows.num_rows)
        rows = rows.add_column(position, field, constant)
    return rows


def prediction_history(*, build: duckdb.DuckDBPyRelation) -> pa.Table:
    """Every prediction ever published that `main` still shows and `as_of` may see (`HISTORY`).

    `build`: relation `this_build`. An entity's keys are one text, joined by `/`. Of two versions
    that scored an entity at one instant the later one counts. A use case that never published has
    no rows.
    """
    run = Build.read(build)
    found = [HISTORY.empty_table()]
    for name in sorted(run.use_cases):
        table = run.use_case(name).output_table
        if lake.exists(table) and lake.head(table) is not None:
            found.append(_history(name, table, run))
    return pa.concat_tables(found)


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
