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
from ml.lake.prediction_tables import LATEST, OUTCOME, entity_keys

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


def training_set(name: str, *, build: Frame, connection: Any) -> Frame:
    """What the champion of use case `name` was trained on: its version, then its features.

    `build`: relation `this_build`, of `connection` (DuckDB's or Spark's session). Read from the
    Iceberg snapshot that is bound to the version; numbers are float64, booleans 0 and 1, categories
    strings. Without a champion no rows and no features. Raises InsighteraError for an unknown use
    case, or where the snapshot is lost.
    """
    Build.read(build).use_case(name)
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
            if lake.exists(table := run.use_case(name).output_table)
            and lake.head(table) is not None
        ]
        return on.answer(on.union(parts, HISTORY))


def _history(on: Engine, name: str, table: str, run: Build) -> Frame:
    """`HISTORY` of one use case."""
    keys: Sequence[str] = entity_keys(table)
    probability = f"{lake.properties(table)[OUTCOME]}_probability"
    own = [probability, "risk_category", "model_version", "prediction_timestamp"]
    rows = on.read(table, columns=[*keys, *own], at_most={"prediction_timestamp": run.as_of})
    parts = [f"cast({on.quoted(key)} as string)" for key in keys]
    if len(parts) > 1:  # as `monitored_labels` writes them
        parts = [f"replace(replace({part}, '%', '%25'), '/', '%2F')" for part in parts]
    told = on.sql(
        f"""
        select
            {text(name)} as use_case,
            concat_ws('{ENTITY_SEPARATOR}', {", ".join(parts)}) as entity_key,
            model_version,
            {on.quoted(probability)} as probability,
            risk_category,
            prediction_timestamp
        from rows_
        """,  # noqa: S608
        rows_=rows,
    )
    return on.latest(told, ["entity_key", "prediction_timestamp"], LATEST)
