"""The one door to Iceberg: append to a branch, read any snapshot, move `main` without losing a
commit.

Tables live in the namespace `ml` of the SQL catalog `lake` (the name must be the same for Spark).
A table is named here without its namespace. Readers hand out Arrow, a batch at a time; writers
take Arrow tables.

Branches carry the write-audit-publish of the design: nothing but `move_main` ever changes what
`main` shows, and it does so by a compare-and-swap in the catalog.
"""

import getpass
import logging
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.core import settings
from ml.core.errors import InsighteraError
from ml.core.use_case import Build

if TYPE_CHECKING:  # PyIceberg takes seconds to import: only where a table is touched
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

NAMESPACE = "ml"
MAIN = "main"
ATTEMPTS = 20  # against writers of other branches, who share the table's metadata pointer

PROPERTIES = {
    "format-version": "2",
    # Every append adds a manifest that each later commit and scan has to read: merged, 200 small
    # appends are read in less than half the time (docs/predictions.md).
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "8",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
}
# PyIceberg's own retry rebases an append on whatever came first; `append_once` has to look at it
# instead.
NO_RETRIES = {"commit.retry.num-retries": "0"}


class MainMovedError(InsighteraError):
    """`main` is not where the caller last saw it: someone else committed, and that commit is
    kept."""


@dataclass(frozen=True)
class Snapshot:
    """One commit: `rows` were added by it; `summary` is its lineage and Iceberg's own counts."""

    id: int
    parent_id: int | None
    committed_at: datetime  # naive UTC
    operation: str
    rows: int
    summary: Mapping[str, str]


@dataclass(frozen=True)
class Move:
    """One entry of `main`'s log: from then on `main` showed `snapshot_id` instead of
    `previous_id`."""

    snapshot_id: int
    previous_id: int | None
    moved_at: datetime  # naive UTC


def lineage(build: Build, model_version: str | None) -> dict[str, str]:
    """What every snapshot's summary carries, so that a row leads back to code, run, model and
    person."""
    return {
        "git-commit": git_commit(),
        "run-id": build.run_id,
        "dbt-invocation-id": build.run_id,
        "model-version": model_version or "none",
        "user": user(),
        "as-of": build.as_of.isoformat(),
    }


@lru_cache(maxsize=1)
def git_commit() -> str:
    """Commit of the project's code, `none` outside a git checkout."""
    command = ["git", "-C", str(settings.PROJECT), "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return "none"
    return answer.stdout.strip() or "none"


def user() -> str:
    """Who runs this process, `unknown` where the system has no name for it (some containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def exists(table: str) -> bool:
    """Whether the table is in the catalog, with or without rows on `main`."""
    return _catalog().table_exists((NAMESPACE, table))


def tables() -> list[str]:
    """Names of the tables under the namespace, sorted."""
    return sorted(identifier[-1] for identifier in _catalog().list_tables(NAMESPACE))


def ensure(
    table: str,
    schema: pa.Schema,
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> None:
    """Create the table, or add to it the columns of `schema` that it lacks (older rows read as
    NULL).

    Raises InsighteraError where a column changed its type in a way that Iceberg cannot promote.
    """
    from pyiceberg.exceptions import CommitFailedException, TableAlreadyExistsError

    schema = compatible(schema)
    if not exists(table):
        try:
            with _catalog().create_table_transaction(
                (NAMESPACE, table), schema=schema, properties={**PROPERTIES, **(properties or {})}
            ) as transaction:
                if partition_by:
                    with transaction.update_spec() as spec:
                        for column in partition_by:
                            spec.add_identity(column)
            return
        except (TableAlreadyExistsError, CommitFailedException):
            if not exists(table):
                raise  # not the other process that created it first
    for attempt in range(ATTEMPTS):
        current = _load(table)
        held = {field.name: field.type for field in compatible(current.schema().as_arrow())}
        change_needed = [
            field
            for field in schema
            if field.name not in held or not _fits(field.type, held[field.name])
        ]
        if not change_needed:
            return
        try:
            with current.update_schema() as change:
                change.union_by_name(pa.schema(change_needed))
            return
        except CommitFailedException:
            if attempt == ATTEMPTS - 1:
                raise
        except Exception as error:
            raise InsighteraError(
                f"Table {NAMESPACE}.{table}: the rows to write do not fit its columns ({error}). A "
                "column may be added, and a number may become wider; anything else needs a new "
                "`output_table`."
            ) from error


def append(
    table: str,
    rows: pa.Table,
    summary: Mapping[str, str],
    *,
    branch: str = MAIN,
    onto: int | None = None,
) -> int:
    """Add `rows` as one snapshot of `branch`; the snapshot's id.

    A branch other than `main` must have `onto` as its head (None: no such branch yet; it then
    starts empty, without `main`'s rows: begin with `create_branch`), else MainMovedError.
    """
    current = _load(table)
    if branch != MAIN:
        _expect(current, branch, onto)
    rows = _aligned(rows, compatible(current.schema().as_arrow()))
    if branch != MAIN and not current.metadata.snapshots:
        # PyIceberg refuses a branch on a table without any snapshot: an empty one, on no branch,
        # lifts that.
        current.append(rows.slice(0, 0), snapshot_properties=dict(summary), branch=None)
    current.append(rows, snapshot_properties=dict(summary), branch=branch)
    return _head(current, branch)


def expect(table: str, branch: str, onto: int | None) -> None:
    """Raise MainMovedError where the branch's head is not `onto`."""
    _expect(_load(table), branch, onto)


def replace(
    table: str, rows: pa.Table, summary: Mapping[str, str], *, partition_by: Sequence[str] = ()
) -> int:
    """Make `rows` all that `main` shows, creating or widening the table; id of the new snapshot.

    Older contents stay readable by their snapshot ids: this is how training sets are kept.
    """
    ensure(table, rows.schema, partition_by)
    current = _load(table)
    rows = _aligned(rows, compatible(current.schema().as_arrow()))
    if current.current_snapshot() is None:
        current.append(rows, snapshot_properties=dict(summary))
    else:
        current.overwrite(rows, snapshot_properties=dict(summary))
    return _head(current, MAIN)


def read(
    table: str,
    *,
    snapshot: int | None = None,
    branch: str | None = None,
    equal: Mapping[str, Any] | None = None,
    at_most: Mapping[str, Any] | None = None,
    at_least: Mapping[str, Any] | None = None,
    columns: Sequence[str] | None = None,
) -> pa.RecordBatchReader:
    """Rows of a snapshot, a branch's head, or (by default) `main`, a batch at a time.

    `equal`, `at_most` and `at_least` (column -> value) filter the rows and skip files and partitions that
    cannot hold any. An empty `main` gives no rows. Raises InsighteraError for an unknown table,
    snapshot or branch, naming those that exist.
    """
    from pyiceberg import expressions

    door: Any = expressions  # its predicates take names, which their annotations do not say
    wanted = door.AlwaysTrue()
    for column, value in (equal or {}).items():
        wanted = door.And(wanted, door.EqualTo(column, _literal(value)))
    for column, value in (at_most or {}).items():
        wanted = door.And(wanted, door.LessThanOrEqual(column, _literal(value)))
    for column, value in (at_least or {}).items():
        wanted = door.And(wanted, door.GreaterThanOrEqual(column, _literal(value)))
    current = _load(table)
    main = current.current_snapshot()
    if branch is not None and branch != MAIN:
        snapshot = _refs(current).get(branch)
        if snapshot is None:
            raise InsighteraError(
                f"Table {NAMESPACE}.{table} has no branch {branch!r}. Branches: "
                f"{', '.join(sorted(_refs(current))) or 'none'}."
            )
    if snapshot is not None and current.snapshot_by_id(snapshot) is None:
        raise _unknown_snapshot(table, current, snapshot)
    if main is not None and snapshot == main.snapshot_id:
        snapshot = (
            None  # the table's columns of today, also those that the snapshot did not have yet
        )
    scan = current.scan(
        row_filter=wanted,
        selected_fields=tuple(columns) if columns else ("*",),
        snapshot_id=snapshot,
    )
    reader = scan.to_arrow_batch_reader()
    return reader.cast(compatible(reader.schema))


def read_table(table: str, **choice: Any) -> pa.Table:
    """As `read`, in one Arrow table."""
    return read(table, **choice).read_all()


def properties(table: str) -> dict[str, str]:
    """The table's properties, those of this project under `insightera.`."""
    return dict(_load(table).properties)


def schema(table: str) -> pa.Schema:
    """The table's columns of today, as Arrow."""
    return compatible(_load(table).schema().as_arrow())


def refs(table: str) -> dict[str, int]:
    """Branch and tag names with the snapshot each points to; `main` is absent before the first
    publication."""
    return _refs(_load(table))


def head(table: str, branch: str = MAIN) -> int | None:
    """Snapshot that `branch` points to, None where there is no such branch."""
    return refs(table).get(branch)


def history(table: str, snapshot: int | None = None) -> list[Snapshot]:
    """The snapshot (default: `main`'s) and its ancestors, newest first; as far as they are kept."""
    current = _load(table)
    start = current.current_snapshot() if snapshot is None else current.snapshot_by_id(snapshot)
    if start is None and snapshot is not None:
        raise _unknown_snapshot(table, current, snapshot)
    by_id = {entry.snapshot_id: entry for entry in current.snapshots()}
    ancestry = []
    while start is not None:
        ancestry.append(_snapshot(start))
        start = None if start.parent_snapshot_id is None else by_id.get(start.parent_snapshot_id)
    return ancestry


def snapshots(table: str) -> dict[int, Snapshot]:
    """Every snapshot that is kept, on whatever branch, by its id."""
    return {entry.snapshot_id: _snapshot(entry) for entry in _load(table).snapshots()}


def moves(table: str) -> list[Move]:
    """`main`'s log, oldest first: every publication and every rollback, written by the same atomic
    commits."""
    log = _load(table).history()
    earlier = [None, *(entry.snapshot_id for entry in log)]
    return [
        Move(entry.snapshot_id, previous, _instant(entry.timestamp_ms))
        for entry, previous in zip(log, earlier, strict=False)
    ]


def snapshot_at(table: str, instant: datetime) -> int | None:
    """What `main` showed at `instant` (naive UTC, the clock's time, not a prediction's); None
    before the first."""
    shown = [move.snapshot_id for move in moves(table) if move.moved_at <= instant]
    return shown[-1] if shown else None


def create_branch(table: str, branch: str, start: int | None) -> None:
    """Start `branch` at the snapshot `start`; None, for a table without rows, leaves it to the
    first append."""
    if start is not None:
        _set_ref(table, branch, None, start, {})


def drop_branch(table: str, branch: str) -> None:
    """Remove the name; its snapshots stay until maintenance, or for good where `main` holds
    them."""
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.update import AssertRefSnapshotId, RemoveSnapshotRefUpdate

    for _ in range(ATTEMPTS):
        current = _load(table)
        seen = _refs(current).get(branch)
        if seen is None:
            return
        try:
            current.catalog.commit_table(
                current,
                (AssertRefSnapshotId(ref=branch, snapshot_id=seen),),  # type: ignore[call-arg]
                (RemoveSnapshotRefUpdate(ref_name=branch),),  # type: ignore[call-arg]
            )
            return
        except CommitFailedException:
            continue
    raise InsighteraError(
        f"Table {NAMESPACE}.{table} is too busy to drop branch {branch}. Try again."
    )


def move_main(
    table: str, expected: int | None, new: int, properties: Mapping[str, str] | None = None
) -> None:
    """Point `main` at the snapshot `new`, only if it still shows `expected` (None: nothing
    published yet).

    One compare-and-swap in the catalog: it happens wholly or not at all, and a commit that someone
    else made on `main` meanwhile is never lost. (`manage_snapshots().set_current_snapshot` would
    drop it silently.) Moving to where `main` already is does nothing. Raises MainMovedError.
    """
    _set_ref(table, MAIN, expected, new, properties or {})


def _set_ref(
    table: str, ref: str, expected: int | None, new: int, properties: Mapping[str, str]
) -> None:
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.refs import SnapshotRefType
    from pyiceberg.table.update import (
        AssertRefSnapshotId,
        AssertTableUUID,
        SetPropertiesUpdate,
        SetSnapshotRefUpdate,
    )

    for _ in range(ATTEMPTS):
        current = _load(table)
        seen = _refs(current).get(ref)
        if seen == new:
            return
        if seen != expected:
            raise MainMovedError(
                f"Table {NAMESPACE}.{table}: {ref} shows snapshot {seen}, expected {expected}; it "
                f"was not moved to {new}."
            )
        if current.snapshot_by_id(new) is None:
            raise _unknown_snapshot(table, current, new)
        unmoved = AssertRefSnapshotId(ref=ref, snapshot_id=expected)  # type: ignore[call-arg]
        target = SetSnapshotRefUpdate(  # type: ignore[call-arg]
            ref_name=ref, type=SnapshotRefType.BRANCH, snapshot_id=new
        )
        same_table = AssertTableUUID(uuid=current.metadata.table_uuid)
        try:
            current.catalog.commit_table(
                current,
                (same_table, unmoved),
                (target, SetPropertiesUpdate(updates=dict(properties))),
            )
            return
        except CommitFailedException:
            continue  # another branch's commit came first, or `ref` moved: look again
    raise InsighteraError(f"Table {NAMESPACE}.{table} is too busy to move {ref}. Try again.")


def append_once(
    table: str, missing: Callable[[pa.Table], pa.Table], summary: Mapping[str, str]
) -> int:
    """Append what `missing(rows so far)` returns, and do it again from the start where someone
    came first.

    So two processes that both find a row missing write it once; the table must have been made with
    `ensure(..., properties=NO_RETRIES)`. Returns the number of rows written.
    """
    from pyiceberg.exceptions import CommitFailedException

    for _ in range(ATTEMPTS):
        current = _load(table)
        seen = current.current_snapshot()
        held = compatible(current.schema().as_arrow())
        rows = missing(current.scan().to_arrow().cast(held) if seen else held.empty_table())
        if rows.num_rows == 0:
            return 0
        try:
            rows = _aligned(rows, compatible(current.schema().as_arrow()))
            current.append(rows, snapshot_properties=dict(summary))
            return int(rows.num_rows)
        except CommitFailedException:
            continue
    raise InsighteraError(f"Table {NAMESPACE}.{table} is too busy to append. Try again.")


def compatible(schema: pa.Schema) -> pa.Schema:
    """The nearest Arrow types that Iceberg knows: dictionaries and large strings as strings, small
    and unsigned integers wider, timestamps in microseconds."""
    return pa.schema(
        [pa.field(field.name, _compatible_type(field.type), field.nullable) for field in schema]
    )


def _compatible_type(arrow: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(arrow):
        return _compatible_type(arrow.value_type)
    if pa.types.is_large_string(arrow) or pa.types.is_null(arrow):
        return pa.string()
    if pa.types.is_large_binary(arrow):
        return pa.binary()
    if arrow in (pa.int8(), pa.int16(), pa.uint8(), pa.uint16()):
        return pa.int32()
    if arrow in (pa.uint32(), pa.uint64()):
        return pa.int64()
    if arrow == pa.float16():
        return pa.float32()
    if pa.types.is_timestamp(arrow):
        return pa.timestamp("us", tz=arrow.tz)
    return arrow


def _fits(written: pa.DataType, held: pa.DataType) -> bool:
    """Whether values of type `written` go into a column of type `held` without a change to the
    table."""
    return (
        written == held
        or (pa.types.is_integer(written) and held in (pa.int64(), pa.float64()))
        or (pa.types.is_floating(written) and held == pa.float64())
    )


def _aligned(rows: pa.Table, held: pa.Schema) -> pa.Table:
    """`rows` with the table's columns, in its order and types; what they lack is NULL."""
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in held
    ]
    return pa.table(columns, schema=held)


@lru_cache(maxsize=8)
def _open(uri: str, warehouse: str) -> "Catalog":
    """The SQL catalog, its folder and namespace created where missing."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.exceptions import NamespaceAlreadyExistsError
    from sqlalchemy.exc import IntegrityError, OperationalError

    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    location = warehouse if "://" in warehouse else Path(warehouse).absolute().as_uri()
    try:
        catalog = SqlCatalog("lake", uri=uri, warehouse=location)
    except OperationalError:  # another process created the catalog's tables at the same moment
        catalog = SqlCatalog("lake", uri=uri, warehouse=location)
    try:
        catalog.create_namespace_if_not_exists(NAMESPACE)
    except (NamespaceAlreadyExistsError, IntegrityError):  # its rows are unique, so one is first
        logging.getLogger(__name__).debug("namespace %s was created meanwhile", NAMESPACE)
    return catalog


def _catalog() -> "Catalog":
    return _open(settings.catalog_uri(), settings.lake())


def _load(table: str) -> "Table":
    from pyiceberg.exceptions import NoSuchTableError

    try:
        return _catalog().load_table((NAMESPACE, table))
    except NoSuchTableError:
        raise InsighteraError(
            f"No table {NAMESPACE}.{table} in the lake {settings.lake()}. Tables: "
            f"{', '.join(tables()) or 'none'}. A table appears when a model first has a champion "
            "and `dbt build` scores with it."
        ) from None


def _refs(table: "Table") -> dict[str, int]:
    return {name: ref.snapshot_id for name, ref in table.metadata.refs.items()}


def _head(table: "Table", branch: str) -> int:
    return _refs(table)[branch]


def _expect(table: "Table", branch: str, onto: int | None) -> None:
    seen = _refs(table).get(branch)
    if seen != onto:
        raise MainMovedError(
            f"Table {'.'.join(table.name())}: {branch} shows snapshot {seen}, expected {onto}; "
            "nothing was written."
        )


def _snapshot(entry: "IcebergSnapshot") -> Snapshot:
    summary = dict(entry.summary.additional_properties) if entry.summary else {}
    return Snapshot(
        id=entry.snapshot_id,
        parent_id=entry.parent_snapshot_id,
        committed_at=_instant(entry.timestamp_ms),
        operation=entry.summary.operation.value if entry.summary else "unknown",
        rows=int(summary.get("added-records", 0)),
        summary=summary,
    )


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc).replace(tzinfo=None)


def _literal(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value  # a datetime is a date


def _unknown_snapshot(table: str, current: "Table", snapshot: int) -> InsighteraError:
    newest = sorted(current.snapshots(), key=lambda entry: entry.timestamp_ms, reverse=True)[:5]
    known = "; ".join(
        f"{entry.snapshot_id} ({_instant(entry.timestamp_ms):%Y-%m-%d %H:%M:%S} UTC)"
        for entry in newest
    )
    return InsighteraError(
        f"Table {NAMESPACE}.{table} has no snapshot {snapshot}. The newest: {known or 'none'}."
    )
