"""One build at a time in a home, whatever the engine."""

import os

from filelock import FileLock, Timeout

from ml import settings
from ml.errors import InsighteraError

_held: dict[str, FileLock] = {}


def take() -> None:
    """Take the home's build lock, so that two builds never mix; it goes with the process, or with
    `release`.

    `INSIGHTERA_WAIT` (seconds, default 0) is how long a second build waits for the first. Raises
    InsighteraError that names the process at work.
    """
    home = settings.home()
    if str(home) in _held:
        return
    home.mkdir(parents=True, exist_ok=True)
    owner = home / "build.pid"
    lock = FileLock(home / "build.lock")
    try:
        lock.acquire(timeout=float(os.environ.get("INSIGHTERA_WAIT", "0")))
    except Timeout as error:
        pid = owner.read_text().strip() if owner.exists() else "unknown"
        raise InsighteraError(
            f"Another build (process {pid}) is at work in {home}. Wait for it to end, let this "
            "one wait (INSIGHTERA_WAIT=600), or build elsewhere (INSIGHTERA_HOME=...)."
        ) from error
    owner.write_text(str(os.getpid()))
    _held[str(home)] = lock


def release() -> None:
    """Give back the lock of the home, if this process holds it."""
    lock = _held.pop(str(settings.home()), None)
    if lock is not None:
        lock.release()
