"""One budget for what a process holds: dbt's DuckDB, the connections that steps open, and Python."""

import os
import re
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from ml.core import settings
from ml.core.errors import InsighteraError
from ml.core.processes import is_alive
from ml.core.sql import text

# Shares of the budget. Two steps may work beside dbt's connection, each on one of its own; what is
# left is Python's: Arrow tables, the copies that scikit-learn makes, the interpreter with its libraries.
WAREHOUSE = 0.5
STEP = 0.15
UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SPILL = "spill"
_numbers = count()


def budget() -> int:
    """Bytes: `$INSIGHTERA_MEMORY`, else half of the machine (of the container, where there is one).

    Raises InsighteraError where the variable is no amount, such as `8GB`.
    """
    told = os.environ.get("INSIGHTERA_MEMORY", "").strip()
    if not told:
        return _machine() // 2
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", told, re.IGNORECASE)
    amount = float(parts[1]) if parts else 0.0
    if parts is None or not amount:
        raise InsighteraError(f"INSIGHTERA_MEMORY is {told!r}: write an amount such as 8GB.")
    return int(amount * (1024 if parts[3] else 1000) ** UNITS[parts[2].lower()])


def connect(path: Path | str = ":memory:", *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection of a step's: DuckDB keeps to the step's share, and spills into the home."""
    connection = duckdb.connect(str(path), read_only=read_only)
    bound(connection, STEP)
    return connection


def bound(connection: Any, share: float) -> None:
    """Hold a connection's database to a share of the budget."""
    connection.execute(f"set memory_limit = '{int(share * budget()) // 2**20}MiB'")
    # a folder each: databases that share one overwrite each other's files
    folder = settings.home() / f"{_SPILL}.{os.getpid()}.{next(_numbers)}"
    connection.execute(f"set temp_directory = {text(str(folder))}")


def clear() -> None:
    """Remove what killed processes spilled into the home."""
    for folder in settings.home().glob(f"{_SPILL}.*"):
        process = folder.name.split(".")[1]
        if process.isdigit() and not is_alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _machine() -> int:
    """Bytes of memory that this process may have at most."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
            return min(physical, int(Path(file).read_text(encoding="ascii")))
    return physical
