"""Where state lives: all below `$INSIGHTERA_HOME`."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from ml.core.errors import InsighteraError

_MARKS = re.compile(r"[#%*\[\]{}\\;:\"<>|\x00-\x1f]")
PROJECT = Path(__file__).resolve().parents[2]


def raw() -> Path | None:
    """Folder of `<source>/<table>.parquet|csv`, or None where the demo seeds are the raw data."""
    value = os.environ.get("INSIGHTERA_RAW", "")
    return Path(value).resolve() if value else None


def home() -> Path:
    """State folder: `$INSIGHTERA_HOME`, else `var/`, or `var/<name of the raw folder>`."""
    value = os.environ.get("INSIGHTERA_HOME", "")
    if value:
        return _without_marks(Path(value).resolve())
    folder = raw()
    return PROJECT / "var" if folder is None else _without_marks(PROJECT / "var" / folder.name)


def _without_marks(folder: Path) -> Path:
    """The folder, by a path that is the same in a file name, in a URI and in a pattern.

    SQLite, MLflow and PyIceberg each read `#`, `%` or `*` in a path in a way of their own. A folder
    with such marks is reached over a link, the same in every process, below `$XDG_CACHE_HOME` (default
    `~/.cache`). Raises InsighteraError for `?`: DuckDB sees through links, and puts its write-ahead
    log elsewhere.
    """
    if "?" in str(folder):
        raise InsighteraError(
            f"The state folder {folder} has a '?' in its path, behind which DuckDB expects settings. "
            "Rename the folder, or set INSIGHTERA_HOME to one without it."
        )
    if not _MARKS.search(str(folder)):
        return folder
    cache = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    link = cache / "insightera" / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    link.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another process may be first
        link.symlink_to(folder)
    return link


def warehouse() -> Path:
    """The DuckDB file that dbt builds."""
    return home() / "warehouse.duckdb"


def serving() -> Path:
    """The DuckDB file that dashboards read; replaced by one rename."""
    return home() / "serving.duckdb"


def lake() -> str:
    """Folder or URI under which the Iceberg catalog puts its tables."""
    return os.environ.get("INSIGHTERA_LAKE", "") or str(home() / "lake")


def catalog_uri() -> str:
    """SQLAlchemy address of the Iceberg catalog `lake`."""
    return (
        os.environ.get("INSIGHTERA_CATALOG_URI", "")
        or f"sqlite:///{home() / 'lake' / 'catalog.db'}"
    )


def mlflow_uri() -> str:
    """MLflow tracking and registry store."""
    return os.environ.get("MLFLOW_TRACKING_URI", "") or f"sqlite:///{home() / 'mlflow.db'}"


def mlflow_artifacts() -> str:
    """Where MLflow puts pictures, cards and models when this process creates the experiment."""
    return os.environ.get("INSIGHTERA_ARTIFACTS", "") or str(home() / "mlartifacts")
