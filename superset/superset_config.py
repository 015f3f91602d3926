"""Superset's configuration. `insightera dashboards serve` sets the environment that it reads.

- `SUPERSET_SECRET_KEY`: signs sessions; no default.
- `INSIGHTERA_HOME`: the state folder, with `serving.duckdb` and Superset's own `superset/`.
- `INSIGHTERA_SUPERSET_URI`: metadata store, e.g. postgresql+psycopg2://…; default SQLite in the home.
"""

import os
from pathlib import Path
from typing import Any

import serving_file
from sqlalchemy.engine.url import URL

HOME = Path(os.environ["INSIGHTERA_HOME"])

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = (
    os.environ.get("INSIGHTERA_SUPERSET_URI") or f"sqlite:///{HOME / 'superset' / 'superset.db'}"
)
if SQLALCHEMY_DATABASE_URI.startswith("sqlite"):
    # Every look at a dashboard is logged: writers wait for one another instead of failing.
    SQLALCHEMY_ENGINE_OPTIONS = {"connect_args": {"timeout": 60}}

APP_NAME = "INSIGHTERA"
# Nobody sees anything without a login, and nobody makes a login for themselves.
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Behind TLS: SUPERSET_HTTPS=1 sends the cookie over nothing else.
SESSION_COOKIE_SECURE = os.environ.get("SUPERSET_HTTPS") == "1"
RATELIMIT_STORAGE_URI = "memory://"

# A chart asks the file, not a memory of it: a publish shows with the next query.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
ROW_LIMIT = 10_000
SUPERSET_DASHBOARD_PERIODICAL_REFRESH_LIMIT = 60

FEATURE_FLAGS = {
    "ALERT_REPORTS": False,
    "ALLOW_FULL_CSV_EXPORT": False,
    "ENABLE_TEMPLATE_PROCESSING": False,
}
TALISMAN_ENABLED = True


def DB_CONNECTION_MUTATOR(  # noqa: N802
    uri: URL,
    params: dict[str, Any],
    username: str | None,  # noqa: ARG001
    security_manager: Any,  # noqa: ARG001
    source: Any,  # noqa: ARG001
) -> tuple[URL, dict[str, Any]]:
    """Point the database of the reports at the serving file as it is now."""
    if uri.drivername.startswith("duckdb") and uri.database == "serving.duckdb":
        uri = uri.set(database=str(serving_file.current(HOME)))
    return uri, params
