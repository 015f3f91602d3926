"""Offline look-ups in the feature tables of the warehouse."""

import duckdb
import pyarrow as pa

from ml.core import settings
from ml.core.errors import InsighteraError
from ml.core.instants import instant
from ml.core.macros import rendered
from ml.core.sql import identifier

# What `feature_table` adds to every feature table: {name: {type, description}}, in its order.
AUDIT: dict[str, dict[str, str]] = rendered(
    "duckdb", "feature_table/feature_audit_columns"
).feature_audit_columns()


def lookup(nim: str, as_of: str = "") -> dict[str, pa.Table]:
    """Each feature table's version of one student, valid at `as_of` (UTC; empty: the newest).

    Returns at most one row per table. Raises InsighteraError where nothing is built, a build is
    at work, or no table knows the student.
    """
    path = settings.warehouse()
    if not path.exists():
        raise InsighteraError(f"Nothing is built in {settings.home()} yet. Run `make build` first.")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.IOException as error:
        raise InsighteraError(
            f"{path} cannot be read while a build is at work. Try again when it has ended. ({error})"
        ) from error
    moment = (
        "is_current" if not as_of else "valid_from <= $at and valid_to > $at and system_to > $end"
    )
    values = {"nim": nim} | ({"at": instant(as_of), "end": instant("9999-01-01")} if as_of else {})
    with connection:
        names = [
            name
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where schema_name = 'features' "
                "and not temporary order by table_name"
            ).fetchall()
        ]
        found = {
            name: connection.execute(
                f"select * from features.{identifier(name)} where nim = $nim and {moment}",  # noqa: S608
                values,
            ).to_arrow_table()
            for name in names
        }
        known = any(
            connection.execute(
                f"select 1 from features.{identifier(name)} where nim = $nim limit 1",  # noqa: S608
                {"nim": nim},
            ).fetchone()
            for name in names
        )
    if not known:
        raise InsighteraError(f"No feature table knows nim {nim!r}. Check the number.")
    return found
