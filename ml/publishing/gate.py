"""The gate: what passed its tests becomes `main`, with a receipt.

A receipt is one row of `ml.receipts` per time `main` moved. Receipts are derived from `main`'s own
log, which the commit that moves `main` writes; so one that a killed process did not write is
written by the next.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from itertools import takewhile
from typing import Any

import pyarrow as pa

from ml import engine, lake
from ml.core import memory
from ml.core.errors import InsighteraError
from ml.core.use_case import Build
from ml.engine import Frame, literal
from ml.lake import prediction_tables
from ml.publishing import predictions

RECEIPTS = "receipts"
STAMP = pa.timestamp("us")
RECEIPT = pa.schema(
    [
        ("table_name", pa.string()),
        ("action", pa.string()),  # publish | rollback
        ("snapshot_id", pa.int64()),
        ("parent_id", pa.int64()),  # what main showed before
        ("rows", pa.int64()),  # more than before; negative where a rollback hides some
        ("population", pa.int64()),  # who was asked about by the build that wrote them
        ("computed", pa.int64()),  # of these who was computed anew; the rows are what had moved
        ("run_id", pa.string()),
        ("git_commit", pa.string()),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("as_of", STAMP),
        ("user_name", pa.string()),  # who scored, or who rolled back
        ("committed_at", STAMP),  # when the snapshot was written, UTC
        ("published_at", STAMP),  # when main began to show it, UTC
    ]
)


def publish(name: str, *, build: Frame, audited: Frame, connection: Any) -> Frame:
    """Move `main` to this run's audited branch, write the receipt, and return the predictions as
    of now.

    `audited` is the scoring model's table: what its tests passed on; `connection` the session it is
    of, DuckDB's or Spark's. Without a branch of this run nothing moves. Raises InsighteraError
    where `main` moved since the branch began, or where the audited rows are not the branch's; the
    branch stays, and nothing is lost.

    Returns each entity's latest row with `prediction_timestamp` at or before `as_of`, the columns
    as in the prediction table; no rows before the first publication.
    """
    run = Build.read(build)
    table = run.output_table(name)
    with engine.opened(connection) as on:
        empty = lake.compatible(on.schema(audited, on.columns(audited))).empty_table()
        if not lake.exists(table):
            return empty
        _advance(
            table,
            prediction_tables.audit_branch(run),
            run,
            on.count(audited, f"run_id = {literal(run.run_id)}"),
        )
        reconcile([table])
        _drop_published_branches(table)
        if lake.head(table) is None:
            return empty
        return on.answer(predictions.latest(on, table, as_of=run.as_of))


def receipts(*, build: Frame) -> pa.Table:
    """Every receipt, oldest first, those that a killed process left out written first."""
    run = Build.read(build)
    outputs = {run.output_table(name) for name in run.use_cases}
    reconcile(sorted(table for table in outputs if lake.exists(table)))
    if not lake.exists(RECEIPTS):
        return RECEIPT.empty_table()
    return lake.read_table(RECEIPTS).sort_by("published_at")


def reconcile(tables: Iterable[str]) -> int:
    """Write the receipts that are missing for moves of these tables' `main`; how many there were.

    Safe to call from several processes at once: a receipt is written once.
    """
    due = pa.concat_tables([RECEIPT.empty_table(), *(_due(table) for table in tables)])
    if due.num_rows == 0:
        return 0
    lake.ensure(RECEIPTS, RECEIPT, properties=lake.NO_RETRIES)
    summary = {"git-commit": lake.git_commit(), "user": lake.user()}
    return lake.append_once(RECEIPTS, lambda written: _missing(due, written), summary)


def rollback(table: str, snapshot: str | int | None = None) -> int:
    """Make `main` show an earlier publication again (default: the one before the present); its id.

    Nothing is deleted: the snapshots taken off `main` keep their receipts, and rolling back to one
    of them undoes this. Who did it is a property of the table, set by the same commit. The next
    build scores again what the rolled-back `main` lacks; to keep an older model, promote it first.
    Raises InsighteraError where `main` never showed the snapshot, or moves at the same moment.
    """
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
        target = predictions.snapshot_id(snapshot)
        if target not in shown:
            newest = ", ".join(str(move.snapshot_id) for move in moves[:-6:-1])
            raise InsighteraError(
                f"main of {lake.NAMESPACE}.{table} never showed snapshot {target}; a rollback goes "
                f"to what was published. The newest: {newest}."
            )
    if target == main:
        raise InsighteraError(f"main of {lake.NAMESPACE}.{table} already shows snapshot {main}.")
    by = {"user": lake.user(), "git_commit": lake.git_commit(), "from": main, "to": target}
    lake.move_main(table, main, target, {prediction_tables.LAST_MOVE: json.dumps(by)})
    reconcile([table])
    return target


def _advance(table: str, branch: str, run: Build, audited: int) -> None:
    """Point `main` at the branch, if it still is where the branch began."""
    tip = lake.head(table, branch)
    if tip is None:
        return
    ancestry = lake.history(table, tip)
    own = list(takewhile(lambda entry: entry.summary.get("run-id") == run.run_id, ancestry))
    main = lake.head(table)
    if not own or (main is not None and tip in {entry.id for entry in lake.history(table, main)}):
        return  # nothing was written, or it is published already
    written = sum(entry.rows for entry in own)
    if written != audited:
        raise InsighteraError(
            f"Branch {branch} of {lake.NAMESPACE}.{table} holds {written:,} rows, but "
            f"{audited:,} rows of this run were audited. Nothing was published; run `dbt build` "
            "again."
        )
    began = own[-1].parent_id
    try:
        lake.move_main(table, began, tip)
    except lake.MainMovedError:
        raise InsighteraError(
            f"{lake.NAMESPACE}.{table} was not published: main moved to snapshot "
            f"{lake.head(table)} while the rows of branch {branch} (snapshot {tip}, {written:,} "
            f"rows, begun at {began}) were audited. Neither is lost. Run `dbt build` again: it "
            "scores on top of the new main. To read the branch: insightera predictions show "
            f"{table} --branch {branch}"
        ) from None
    print(f"{lake.NAMESPACE}.{table}: main shows snapshot {tip}, {written:,} new rows.")


def _drop_published_branches(table: str) -> None:
    """Remove audit branches whose own rows `main` holds, also those that killed runs left."""
    published = {entry.id: entry for entry in lake.history(table)}
    for branch, tip in lake.refs(table).items():
        # a branch that only begins at a published snapshot belongs to a run that is scoring right
        # now
        run_id = published[tip].summary.get("run-id", "") if tip in published else ""
        if branch == f"audit_{run_id.replace('-', '')}":
            lake.drop_branch(table, branch)


def _due(table: str) -> pa.Table:
    """The receipts that the log of `main` asks for."""
    moves = lake.moves(table)
    if not moves:
        return RECEIPT.empty_table()
    by_hand = json.loads(lake.properties(table).get(prediction_tables.LAST_MOVE, "{}"))
    known = lake.snapshots(table)
    shown: set[int] = set()
    rows = []
    for move in moves:
        entry = known.get(move.snapshot_id)
        before = known.get(move.previous_id) if move.previous_id is not None else None
        if entry is not None:
            again = move.snapshot_id in shown
            rows.append(_receipt(table, move, entry, before, "rollback" if again else "publish"))
            if (
                again
                and by_hand.get("from") == move.previous_id
                and by_hand["to"] == move.snapshot_id
            ):
                rows[-1] |= {"user_name": by_hand["user"], "git_commit": by_hand["git_commit"]}
        shown.add(move.snapshot_id)
    return pa.Table.from_pylist(rows, schema=RECEIPT)


def _receipt(
    table: str,
    move: lake.Move,
    entry: lake.Snapshot,
    before: lake.Snapshot | None,
    action: str,
) -> dict[str, Any]:
    summary = entry.summary
    as_of = summary.get("as-of")
    return {
        "table_name": table,
        "action": action,
        "snapshot_id": move.snapshot_id,
        "parent_id": move.previous_id,
        "rows": _total(entry) - (_total(before) if before else 0),
        **{name: _number(summary.get(name)) for name in ("population", "computed")},
        "run_id": summary.get("run-id"),
        "git_commit": summary.get("git-commit"),
        "model_name": summary.get("model-name"),
        "model_version": summary.get("model-version"),
        "as_of": datetime.fromisoformat(as_of) if as_of else None,
        "user_name": summary.get("user"),
        "committed_at": entry.committed_at,
        "published_at": move.moved_at,
    }


def _number(told: str | None) -> int | None:
    return None if told is None else int(told)


def _total(entry: lake.Snapshot) -> int:
    return int(entry.summary.get("total-records", 0))


def _missing(due: pa.Table, written: pa.Table) -> pa.Table:
    """The rows of `due` that are not yet written: a move is a table, a snapshot and an instant."""
    with memory.connect() as connection:
        connection.register("due", due)
        connection.register("written", written)
        return connection.execute(
            """
            from due
            anti join written using (table_name, snapshot_id, published_at)
            order by due.published_at
            """
        ).to_arrow_table()
