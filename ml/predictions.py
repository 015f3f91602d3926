"""Reads, compares and rolls back published predictions: what `insightera predictions` prints.

A prediction table keeps every row ever published. *The* prediction of an entity at an instant is
its latest row with `prediction_timestamp` at or before it.
"""

import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa

from ml import engine, lake
from ml.errors import InsighteraError
from ml.instants import instant, now
from ml.sql import identifier, identifiers

ENTITY_KEYS = "insightera.entity-keys"  # table properties that scoring sets
OUTCOME = "insightera.outcome"
# Beside keys, attributes and the outcome's own columns, every prediction has these.
ENVELOPE = (
    *("risk_score", "risk_category", "contributing_factors", "feature_timestamp", "feature_hash"),
    *("model_name", "model_version", "inference_type", "run_id"),
    *("prediction_timestamp", "prediction_date"),
)
LAST_MOVE = "insightera.last-move-by-hand"

# Two versions that scored one entity at one instant (a retraining within a build): the later
# version counts. MLflow's versions are numbers; anything else sorts as text.
LATEST = "(prediction_timestamp, coalesce(try_cast(model_version as bigint), 0), model_version)"


def show(
    table: str,
    *,
    as_of: str | datetime | None = None,
    snapshot: str | int | None = None,
    branch: str | None = None,
) -> pa.Table:
    """Each entity's prediction, one row per entity, ordered by its keys.

    `as_of` is a prediction's time, not a commit's; `snapshot` or `branch` choose what is read
    instead of `main`. Raises InsighteraError for a time, snapshot, branch or table that does not
    exist.
    """
    if snapshot is not None and branch is not None:
        raise InsighteraError("Give --snapshot or --branch, not both: a branch is one snapshot.")
    chosen = None if snapshot is None else snapshot_id(snapshot)
    if as_of is None and snapshot is None and branch is None:
        as_of = now()  # what a wrong clock once published ahead of time is not in force yet
    return current(
        table, as_of=None if as_of is None else instant(as_of), snapshot=chosen, branch=branch
    )


def current(
    table: str,
    *,
    as_of: datetime | None = None,
    snapshot: int | None = None,
    branch: str | None = None,
) -> pa.Table:
    """As `show`, its arguments checked. Memory: one row per entity, not one per prediction."""
    with engine.opened() as on:
        return on.arrow(latest(on, table, as_of=as_of, snapshot=snapshot, branch=branch))


def latest(on: engine.Engine, table: str, *, as_of: datetime | None, **choice: Any) -> engine.Frame:
    """As `current`, on an engine; there in no order but on DuckDB."""
    keys = entity_keys(table)  # first: a table without predictions has no time of theirs
    at_most = {} if as_of is None else {"prediction_timestamp": as_of}
    rows = on.read(table, at_most=at_most, **choice)
    return on.latest(rows, keys, LATEST)


def diff(table: str, before: str, after: str, *, min_change: float = 0.0) -> pa.Table:
    """What changed between two times or snapshot ids: one row per entity that differs, the largest
    change first, then who appeared or vanished. `min_change`: leave out whose probability moved by
    less.

    Columns: the entity's keys, `change` (appeared | vanished | changed), category and probability
    before and after, and `probability_delta`, after minus before.
    """
    keys = entity_keys(table)
    probability = identifier(f"{outcome(table)}_probability")
    columns = ",\n".join(
        f"coalesce(b.{identifier(k)}, a.{identifier(k)}) as {identifier(k)}" for k in keys
    )
    with duckdb.connect() as connection:
        connection.register("before", _at(table, before))
        connection.register("after", _at(table, after))
        return connection.execute(
            f"""
            select
                {columns},
                case
                    when b.run_id is null then 'appeared'
                    when a.run_id is null then 'vanished'
                    else 'changed'
                end as change,
                b.risk_category as category_before,
                a.risk_category as category_after,
                b.{probability} as probability_before,
                a.{probability} as probability_after,
                a.{probability} - b.{probability} as probability_delta
            from before as b
            full join after as a using ({identifiers(keys)})
            where (
                b.risk_category is distinct from a.risk_category
                or b.{probability} is distinct from a.{probability}
            )
            and coalesce(abs(probability_delta) >= $least, true)
            order by abs(probability_delta) desc nulls last, {identifiers(keys)}
            """,  # noqa: S608
            {"least": min_change},
        ).to_arrow_table()


def history(table: str, entity: str) -> pa.Table:
    """Every prediction published for one entity, oldest first. Several keys are separated by `/`;
    within one of them `/` is written `%2F`, and `%` is `%25`."""
    keys = entity_keys(table)
    values = entity.split("/", len(keys) - 1)
    if len(values) != len(keys):
        raise InsighteraError(
            f"{lake.NAMESPACE}.{table} is about {'/'.join(keys)}; {entity!r} has {len(values)} of "
            f"{len(keys)} parts."
        )
    if len(keys) > 1:
        values = [unquote(value) for value in values]
    rows = lake.read_table(table, equal=dict(zip(keys, values, strict=True)))
    if rows.num_rows == 0:
        raise InsighteraError(
            f"{lake.NAMESPACE}.{table} has no prediction for {entity!r}. "
            "`insightera predictions show` lists the entities it has."
        )
    with duckdb.connect() as connection:
        connection.register("predictions", rows)
        ordered = f"from predictions order by {LATEST}"
        return connection.execute(ordered).to_arrow_table()


def rollback(table: str, snapshot: str | int | None = None) -> int:
    """Make `main` show an earlier publication again (default: the one before the present); its id.

    Nothing is deleted: the snapshots taken off `main` keep their receipts, and rolling back to one
    of them undoes this. Who did it is a property of the table, set by the same commit. The next
    build scores again what the rolled-back `main` lacks; to keep an older model, promote it first.
    Raises InsighteraError where `main` never showed the snapshot, or moves at the same moment.
    """
    from ml import publishing

    main = lake.head(table)
    moves = lake.moves(table)
    if main is None or not moves:
        raise InsighteraError(f"{lake.NAMESPACE}.{table} has nothing published to roll back.")
    shown = {move.snapshot_id for move in moves}
    if snapshot is None:
        # the move that first brought `main` here: later ones may be rollbacks to it
        first = next(move for move in moves if move.snapshot_id == main)
        target = first.previous_id
        if target is None:
            raise InsighteraError(
                f"Snapshot {main} is the first publication of {lake.NAMESPACE}.{table}: there is "
                "nothing earlier to roll back to."
            )
    else:
        target = snapshot_id(snapshot)
        if target not in shown:
            newest = ", ".join(str(move.snapshot_id) for move in moves[:-6:-1])
            raise InsighteraError(
                f"main of {lake.NAMESPACE}.{table} never showed snapshot {target}; a rollback goes "
                f"to what was published. The newest: {newest}."
            )
    if target == main:
        raise InsighteraError(f"main of {lake.NAMESPACE}.{table} already shows snapshot {main}.")
    by = {"user": lake.user(), "git_commit": lake.git_commit(), "from": main, "to": target}
    lake.move_main(table, main, target, {LAST_MOVE: json.dumps(by)})
    publishing.reconcile([table])
    return target


def write(rows: pa.Table, out: Path) -> Path:
    """Write to a `.parquet`, `.csv` or `.json` file, whole or not at all; the path."""
    import pyarrow.csv
    import pyarrow.parquet

    from ml import screen

    def write_json(table: pa.Table, name: str) -> None:
        Path(name).write_text(screen.as_json(table.to_pylist()), encoding="utf-8")

    writers = {
        ".parquet": pyarrow.parquet.write_table,
        ".csv": pyarrow.csv.write_csv,
        ".json": write_json,
    }
    if out.suffix.lower() not in writers:
        raise InsighteraError(
            f"Cannot write {out}: name a .parquet, .csv or .json file, or - for the screen."
        )
    if not out.parent.is_dir():
        raise InsighteraError(f"Cannot write {out}: the folder {out.parent} does not exist.")
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    os.close(handle)
    try:
        writers[out.suffix.lower()](rows, name)
        Path(name).chmod(0o644)
        Path(name).replace(out)
    finally:
        Path(name).unlink(missing_ok=True)
    return out


def entity_keys(table: str) -> tuple[str, ...]:
    """The columns that name an entity of this prediction table."""
    held = lake.properties(table)
    if ENTITY_KEYS not in held:
        raise InsighteraError(
            f"{lake.NAMESPACE}.{table} holds no predictions. Tables that do: "
            f"{', '.join(tables()) or 'none'}."
        )
    return tuple(json.loads(held[ENTITY_KEYS]))


def outcome(table: str) -> str:
    """What the predictions of this table are of: it names `<outcome>_probability`."""
    entity_keys(table)
    return lake.properties(table)[OUTCOME]


def own_columns(table: str) -> frozenset[str]:
    """The columns that scoring adds to the entity's keys and attributes."""
    of = outcome(table)
    return frozenset({f"{of}_probability", f"predicted_{of}", *ENVELOPE})


def tables() -> list[str]:
    """The prediction tables in the lake."""
    return [name for name in lake.tables() if ENTITY_KEYS in lake.properties(name)]


def snapshot_id(value: str | int) -> int:
    """A snapshot's id as a person writes it; InsighteraError where it is no number."""
    try:
        return int(value)
    except ValueError:
        raise InsighteraError(
            f"{value!r} is no snapshot id: those are whole numbers, listed by the model "
            "`published_receipts`."
        ) from None


def _at(table: str, moment: str) -> pa.Table:
    """The predictions at a time or of a snapshot; Iceberg's ids are longer than any year or
    date."""
    text = str(moment).strip()
    if text.isdigit() and len(text) > 8:
        return show(table, snapshot=text)
    return show(table, as_of=text)
