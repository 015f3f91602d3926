"""`serving.duckdb`, all that dashboards read: written beside, then put in place by one rename."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml import engine
from ml.core import memory, settings
from ml.core.processes import is_alive
from ml.core.sql import identifier
from ml.core.use_case import Build
from ml.engine import Engine, Frame

SUMMARY = pa.schema(
    [
        ("run_id", pa.string()),
        ("as_of", pa.timestamp("us")),
        ("tables", pa.int64()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("file", pa.string()),
    ]
)


def replace(*, build: Frame, tables: Mapping[str, Frame], connection: Any) -> pa.Table:
    """Copy `tables` (name -> relation) into a new serving file and put it in place; one row about
    it. All are of `connection`, DuckDB's or Spark's session.

    A dashboard sees the old file or the new one, whole; one that has the old file open keeps
    reading it. Killed anywhere, the old file stands, and the next run clears what is left. Rows
    are streamed, a batch at a time; a second connection is needed because DuckDB writes one file
    in a transaction.
    """
    run = Build.read(build)
    target = settings.serving()
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    beside = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        with engine.opened(connection) as on:
            rows = _copy(on, tables, beside)
        size = beside.stat().st_size
        _sync(beside)
        beside.replace(target)
        _sync(target.parent)
    finally:
        beside.unlink(missing_ok=True)
    row = {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "tables": len(tables),
        "rows": rows,
        "bytes": size,
        "file": target.name,
    }
    return pa.Table.from_pylist([row], schema=SUMMARY)


def _copy(on: Engine, tables: Mapping[str, Frame], target: Path) -> int:
    """Write the tables; their rows together."""
    rows = 0
    with memory.connect(target) as file:
        for name, relation in tables.items():
            file.register("incoming", on.reader(relation))
            file.execute(f"create table {identifier(name)} as from incoming")
            file.unregister("incoming")
            rows += file.table(identifier(name)).aggregate("count(*)").fetchall()[0][0]
    return rows


def _clear_leftovers(target: Path) -> None:
    """Remove the unfinished files of processes that are gone, and their write-ahead logs."""
    for path in target.parent.glob(f"{target.name}.*.new*"):
        process = path.name.removeprefix(f"{target.name}.").split(".")[0]
        if not process.isdigit() or int(process) == os.getpid() or not is_alive(int(process)):
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Bring a file, or a folder's entries, to the disk: the rename must not come first."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
