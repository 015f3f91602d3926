"""dbt in this process, as often as it is asked.

A process that builds again has imported what the next build needs: of a small build that is a
third (`benchmarks/builds.md`).
"""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ml.core import build_lock

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult


def run_dbt(*arguments: str) -> "dbtRunnerResult":
    """Run dbt as its command line would: in the working folder, with the environment's settings, to
    `sys.stdout`. Nothing that otherwise ends with dbt's process outlives the call: neither DuckDB's
    connections nor the build lock. Not to be called by two threads at once.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    try:
        return dbtRunner().invoke(list(arguments))
    finally:
        held = DuckDBConnectionManager._ENV  # `env()` raises where there is none
        if held is not None:
            held.close()
        DuckDBConnectionManager.close_all_connections()
        build_lock.release()
        gc.unfreeze()  # what the plugin froze
        gc.collect()  # relations of Python models keep DuckDB's file open


def target() -> Path:
    """The folder where dbt leaves what it tells of a run: `$DBT_TARGET_PATH`, else `target/`."""
    return Path(os.environ.get("DBT_TARGET_PATH", "") or "target")


@contextmanager
def within(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """This process in a folder, with more settings."""
    before, held = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(held)
