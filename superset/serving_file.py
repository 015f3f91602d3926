"""The serving file under a name that no other version of it ever has.

A build replaces `serving.duckdb` by a rename. DuckDB, within one process, hands a second connection
to a path the database that is open there already; while charts overlap, one is always open, and
the new file would never be seen. So each version is opened under a name made of its inode and time,
a hard link that costs nothing.
"""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

# A thread may have asked for a name and not opened it yet; superseded versions outlive that.
KEEP_SECONDS = 60


class NoServingFileError(Exception):
    """What a person sees in place of a chart."""


def current(home: Path) -> Path:
    """The path of the serving file's present version, below `home/superset/open`.

    Raises NoServingFileError where there is none.
    """
    serving, folder = home / "serving.duckdb", home / "superset" / "open"
    try:
        name = folder / _name(serving.stat())
        return name if name.exists() else _opened(serving, folder)
    except FileNotFoundError:
        raise NoServingFileError(
            f"{serving} is missing: `make build` writes it again, and this chart comes back."
        ) from None


def _name(state: os.stat_result) -> str:
    return f"{state.st_ino}-{state.st_mtime_ns}.duckdb"


def _opened(serving: Path, folder: Path) -> Path:
    """Link the version that is there now, whichever it is by then; superseded ones go."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mktemp(prefix="new.", dir=folder))  # noqa: S306  (os.link refuses to overwrite)
    try:
        try:
            os.link(serving, beside)
            state = beside.stat()
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or another owner's file
            with serving.open("rb") as source, beside.open("wb") as copy:
                state = os.fstat(source.fileno())
                shutil.copyfileobj(source, copy)
        name = folder / _name(state)
        beside.replace(name)
    finally:
        beside.unlink(missing_ok=True)
    _clear_superseded(folder, name)
    return name


def _clear_superseded(folder: Path, name: Path) -> None:
    for old in folder.iterdir():
        with suppress(FileNotFoundError):  # another thread was here first
            # ctime of a linked file: when the rename took its other name away
            if old != name and time.time() - old.stat().st_ctime > KEEP_SECONDS:
                old.unlink()
