"""Where state lives: all below `$INSIGHTERA_HOME`. The profile computes the same paths."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def raw() -> Path | None:
    """Folder of `<source>/<table>.parquet|csv`, or None where the demo seeds are the raw data."""
    value = os.environ.get("INSIGHTERA_RAW", "")
    return Path(value).resolve() if value else None


def home() -> Path:
    """State folder: `$INSIGHTERA_HOME`, else `var/`, or `var/<name of the raw folder>`."""
    value = os.environ.get("INSIGHTERA_HOME", "")
    if value:
        return Path(value).resolve()
    folder = raw()
    return PROJECT / "var" if folder is None else PROJECT / "var" / folder.name


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
