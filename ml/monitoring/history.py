"""What monitoring's SQL cannot read by itself: the lake's tables, in the shape it wants.

Monitoring only ever reads what training and publishing wrote. Nothing here is read by a feature, a
label or a model.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ml import engine, lake, registry
from ml.core.sql import text
from ml.core.use_case import Build
from ml.engine import Engine, Frame, literal
from ml.lake import prediction_tables
from ml.lake.prediction_tables import LATEST

VERSION = pa.schema([("model_version", pa.string()), ("trained_as_of", pa.timestamp("us"))])
HISTORY = pa.schema(
    [
        ("use_case", pa.string()),
        ("entity_type", pa.string()),
        ("entity_key", pa.string()),
        ("target", pa.string()),
        ("horizon", pa.int32()),
        ("model_version", pa.string()),
        ("value", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
        ("score", pa.float64()),
        ("category", pa.string()),
        ("is_flagged", pa.bool_()),
        ("feature_timestamp", pa.timestamp("us")),
        ("prediction_timestamp", pa.timestamp("us")),
    ]
)
ENTITY_SEPARATOR = "/"  # of the parts of a key, as `insightera predictions history` takes them


def training_set(name: str, *, build: Frame, connection: Any) -> Frame:
    """What the champion of use case `name` was trained on: its version, then its features.

    `build`: relation `this_build`, of `connection` (DuckDB's or Spark's session). Read from the
    Iceberg snapshot that is bound to the version; numbers are float64, booleans 0 and 1, categories
    strings. Without a champion no rows and no features. Raises InsighteraError for an unknown use
    case, or where the snapshot is lost.
    """
    Build.read(build).declared(name)
    champion = registry.champion_entry(name)
    if champion is None:
        return VERSION.empty_table()
    with engine.opened(connection) as on:
        rows = on.read(
            champion.tags["training_table"].removeprefix(f"{lake.NAMESPACE}."),
            snapshot=int(champion.tags["training_snapshot_id"]),
            columns=champion.features,
        )
        known = (
            f"{text(champion.version)} as model_version, {literal(champion.as_of)} as trained_as_of"
        )
        found = on.sql(
            f"select {known}, {on.quoted(*champion.features)} from rows_",  # noqa: S608
            rows_=rows,
        )
        return on.answer(found)


def prediction_history(*, build: Frame, connection: Any) -> Frame:
    """Every prediction ever published that `main` still shows and `as_of` may see (`HISTORY`).

    `build`: relation `this_build`, of `connection`. An entity's keys are one text: several are
    joined by `/`, which within a part is written `%2F` (and `%` is `%25`), so that other keys are
    other texts.
    Of two versions that scored an entity at one instant the later one counts. A use case that never
    published has no rows.
    """
    run = Build.read(build)
    with engine.opened(connection) as on:
        parts = [
            _history(on, name, table, run)
            for name in sorted(run.use_cases)
            if lake.exists(table := run.output_table(name)) and lake.head(table) is not None
        ]
        return on.answer(on.union(parts, HISTORY))


# column of HISTORY -> the role of what it holds (`ml.tasks.protocol.Output`), and SQL's type
OF_ROLE = {
    "target": ("target", "string"),
    "horizon": ("horizon", "integer"),
    "value": ("value", "double"),
    "lower": ("lower", "double"),
    "upper": ("upper", "double"),
    "score": ("score", "double"),
    "category": ("category", "string"),
    "is_flagged": ("flag", "boolean"),
}


def _history(on: Engine, name: str, table: str, run: Build) -> Frame:
    """`HISTORY` of one use case."""
    held = {column: prediction_tables.column(table, role) for column, (role, _) in OF_ROLE.items()}
    about = {held["target"], held["horizon"]}
    keys: Sequence[str] = [key for key in prediction_tables.entity_keys(table) if key not in about]
    own = [column for column in held.values() if column is not None]
    always = ["model_version", "feature_timestamp", "prediction_timestamp"]
    wanted = [*dict.fromkeys([*keys, *own, *always])]
    rows = on.read(table, columns=wanted, at_most={"prediction_timestamp": run.as_of})
    parts = [f"cast({on.quoted(key)} as string)" for key in keys]
    if len(parts) > 1:  # as `monitored_labels` writes them
        parts = [f"replace(replace({part}, '%', '%25'), '/', '%2F')" for part in parts]
    said = {
        column: f"cast({on.quoted(held[column] or '') if held[column] else 'null'} as {kind}) as {column}"
        for column, (_, kind) in OF_ROLE.items()
    }
    told = on.sql(
        f"""
        select
            {text(name)} as use_case,
            {text(ENTITY_SEPARATOR.join(keys))} as entity_type,
            concat_ws('{ENTITY_SEPARATOR}', {", ".join(parts)}) as entity_key,
            {said["target"]},
            {said["horizon"]},
            model_version,
            {", ".join(said[column] for column in list(OF_ROLE)[2:])},
            feature_timestamp,
            prediction_timestamp
        from rows_
        """,  # noqa: S608
        rows_=rows,
    )
    return on.latest(told, ["entity_key", "target", "horizon", "prediction_timestamp"], LATEST)
