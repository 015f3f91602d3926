"""Reads, compares and rolls back published predictions: what `insightera predictions` prints.

A prediction table keeps every row ever published. *The* prediction of an entity at an instant is
its latest row with `prediction_timestamp` at or before it; of a target that is predicted again as
it comes nearer, the newest.
"""

from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from ml import engine, lake
from ml.core import memory
from ml.core.errors import InsighteraError
from ml.core.instants import instant, now
from ml.core.sql import identifier, identifiers
from ml.lake import prediction_tables


def show(
    table: str,
    *,
    as_of: str | datetime | None = None,
    snapshot: str | int | None = None,
    branch: str | None = None,
) -> pa.Table:
    """Each entity's prediction, one row per entity (and target), ordered by its keys.

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
    # first: a table without predictions has no time of theirs
    keys = prediction_tables.subject(table)
    at_most = {} if as_of is None else {"prediction_timestamp": as_of}
    rows = on.read(table, at_most=at_most, **choice)
    newest = on.latest(rows, keys, prediction_tables.LATEST)
    if prediction_tables.column(table, "rank") is None:
        return newest
    # of ranks, those of an older time are none
    together = prediction_tables.together(table)
    return on.sql(
        f"""
        select {on.quoted(*on.columns(newest))}
        from (
            select
                *,
                rank() over (
                    partition by {on.quoted(*together)} order by {prediction_tables.LATEST} desc
                ) as age
            from newest
        ) as aged
        where age = 1
        order by {on.quoted(*keys)}
        """,  # noqa: S608
        newest=newest,
    )


def diff(table: str, before: str, after: str, *, min_change: float = 0.0) -> pa.Table:
    """What changed between two times or snapshot ids: one row per entity, and target where it has
    one, that differs, the largest change first, then what appeared or vanished.

    What is compared is `prediction_tables.measure`, and the category where there is one.
    `min_change`: leave out what moved by less, in the measure's unit.

    Columns: the keys, `change` (appeared | vanished | changed), `<column>_before` and
    `<column>_after` of category and measure, and `<measure>_delta`, after minus before.
    """
    keys = prediction_tables.subject(table)
    measure = prediction_tables.measure(table)
    category = prediction_tables.column(table, "category")
    compared = [category, measure] if category else [measure]
    moved, delta = identifier(measure), identifier(f"{measure}_delta")
    columns = ", ".join(f"coalesce(b.{each}, a.{each}) as {each}" for each in map(identifier, keys))
    pairs = ", ".join(
        f"b.{identifier(name)} as {identifier(f'{name}_before')}, "
        f"a.{identifier(name)} as {identifier(f'{name}_after')}"
        for name in compared
    )
    differs = " or ".join(
        f"b.{identifier(name)} is distinct from a.{identifier(name)}" for name in compared
    )
    with memory.connect() as connection:
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
                {pairs},
                a.{moved} - b.{moved} as {delta}
            from before as b
            full join after as a using ({identifiers(keys)})
            where ({differs} or b.run_id is null or a.run_id is null)
            and coalesce(abs({delta}) >= $least, true)
            order by abs({delta}) desc nulls last, {identifiers(keys)}
            """,  # noqa: S608
            {"least": min_change},
        ).to_arrow_table()


def history(table: str, entity: str) -> pa.Table:
    """Every prediction published for one entity, target by target, oldest first. Several keys are
    separated by `/`; within one of them `/` is written `%2F`, and `%` is `%25`."""
    keys = prediction_tables.entity(table)
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
            f"`insightera predictions show {table}` lists the entities it has."
        )
    first = identifiers(prediction_tables.subject(table))
    with memory.connect() as connection:
        connection.register("predictions", rows)
        ordered = f"from predictions order by {first}, {prediction_tables.LATEST}"
        return connection.execute(ordered).to_arrow_table()


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
