"""dbt-duckdb's way into the project: one build at a time, raw files opened, Iceberg readable."""

import gc
from collections.abc import Collection
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError

from ml import raw
from ml.core import build_lock, memory, settings
from ml.core.errors import InsighteraError
from ml.raw.files import contract


class Plugin(BasePlugin):  # type: ignore[misc]
    """Named in `profiles/profiles.yml`; dbt-duckdb makes one per process, before it connects."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:  # noqa: ARG002
        """Take the build lock, so that two builds never mix, and say which file is built; the lock goes with
        the process.
        """
        try:
            build_lock.take()
        except InsighteraError as error:
            raise DbtRuntimeError(str(error)) from error
        self.creds.path = str(settings.warehouse())
        memory.clear()
        gc.freeze()  # the manifest stays to the end: looking through it for garbage costs a tenth

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Bound its memory, and open `$INSIGHTERA_RAW`, where set, as the tables that the sources name."""
        folder = settings.raw()
        try:
            memory.bound(conn, memory.WAREHOUSE)
            self._same_raw(conn, folder)
            if folder is not None:
                found = raw.open_raw(conn, folder, contract())
                self._nothing_vanished(conn, found)
        except InsighteraError as error:
            raise DbtRuntimeError(str(error)) from error

    def _same_raw(self, conn: duckdb.DuckDBPyConnection, folder: Path | None) -> None:
        """Refuse to mix two universities in one home."""
        name = "the demo seeds" if folder is None else str(folder)
        conn.execute("create table if not exists main.raw_origin (name varchar)")
        rows = conn.execute("select name from main.raw_origin").fetchall()
        if not rows:
            conn.execute("insert into main.raw_origin values (?)", [name])
        elif rows[0][0] != name:
            raise InsighteraError(
                f"{settings.home()} was built from {rows[0][0]}, and now the raw data is {name}. "
                "Give each its own state: set INSIGHTERA_HOME to a new folder."
            )

    def _nothing_vanished(self, conn: duckdb.DuckDBPyConnection, found: Collection[str]) -> None:
        """Refuse to build on fewer raw tables than an earlier build of this home read."""
        conn.execute("create table if not exists main.raw_tables_read (path varchar primary key)")
        before = {path for (path,) in conn.execute("from main.raw_tables_read").fetchall()}
        raw.refuse_vanished(before - set(found))
        gone = before - set(found)
        if gone:
            conn.execute("delete from main.raw_tables_read where list_contains(?, path)", [[*gone]])
        new = [[path] for path in found if path not in before]
        if new:
            conn.executemany("insert into main.raw_tables_read values (?)", new)
