"""One build at a time in a home, whatever the engine."""

import os

from filelock import FileLock, Timeout

from ml.core import settings
from ml.core.errors import InsighteraError

_held: dict[str, FileLock] = {}


def take() -> None:
    """Take the home's build lock, so that two builds never mix; it goes with the process, or with
    `release`.

    `INSIGHTERA_WAIT` (seconds, default 0) is how long a second build waits for the first. Raises
    InsighteraError that names the process at work, or the folder that cannot be written.
    """
    home = settings.home()
    if str(home) in _held:
        return
    owner = home / "build.pid"
    try:
        home.resolve().mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / "build.lock")
        lock.acquire(timeout=_patience())
        owner.write_text(str(os.getpid()))
    except Timeout as error:
        pid = owner.read_text().strip() if owner.exists() else "unknown"
        raise InsighteraError(
            f"Another build (process {pid}) is at work in {home}. Wait for it to end, let this "
            "one wait (INSIGHTERA_WAIT=600), or build elsewhere (INSIGHTERA_HOME=...)."
        ) from error
    except OSError as error:
        raise InsighteraError(
            f"The state folder {home} cannot be written: {error.strerror or error}. Change its "
            "permissions, free space there, or build elsewhere (INSIGHTERA_HOME=...)."
        ) from error
    _held[str(home)] = lock


def _patience() -> float:
    given = os.environ.get("INSIGHTERA_WAIT", "") or "0"
    try:
        return max(0.0, float(given))
    except ValueError as error:
        raise InsighteraError(
            f"INSIGHTERA_WAIT={given} is no number of seconds. Write 600, or unset it."
        ) from error


def release() -> None:
    """Give back the lock of the home, if this process holds it."""
    lock = _held.pop(str(settings.home()), None)
    if lock is not None:
        lock.release()
