"""dbt-duckdb's way into the project: one build at a time, raw files opened, Iceberg readable."""

import os
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError
from filelock import FileLock, Timeout

from ml import raw, settings
from ml.errors import InsighteraError
from ml.raw_files import contract


class Plugin(BasePlugin):  # type: ignore[misc]
    """Named in `profiles/profiles.yml`; dbt-duckdb makes one per process, before it connects."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:  # noqa: ARG002
        """Take the build lock, so that two builds never mix; it goes with the process.

        `INSIGHTERA_WAIT` (seconds, default 0) is how long a second build waits for the first.
        """
        home = settings.home()
        if Path(self.creds.path).resolve() != settings.warehouse():
            raise DbtRuntimeError(
                f"The profile builds {Path(self.creds.path).resolve()}, but state lives in {home}. "
                "Run dbt from the project's folder, or set INSIGHTERA_HOME to an absolute path."
            )
        home.mkdir(parents=True, exist_ok=True)
        owner = home / "build.pid"
        self.lock = FileLock(home / "build.lock")
        try:
            self.lock.acquire(timeout=float(os.environ.get("INSIGHTERA_WAIT", "0")))
        except Timeout as error:
            pid = owner.read_text().strip() if owner.exists() else "unknown"
            raise DbtRuntimeError(
                f"Another build (process {pid}) is at work in {home}. Wait for it to end, let this "
                "one wait (INSIGHTERA_WAIT=600), or build elsewhere (INSIGHTERA_HOME=...)."
            ) from error
        owner.write_text(str(os.getpid()))

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Open `$INSIGHTERA_RAW`, where set, as the tables that the sources name."""
        folder = settings.raw()
        try:
            self._same_raw(conn, folder)
            if folder is not None:
                raw.open_raw(conn, folder, contract())
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
