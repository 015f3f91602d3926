"""Offline look-ups in the feature tables of the warehouse."""

from urllib.parse import unquote

import duckdb
import pyarrow as pa
import yaml

from ml.core import memory, settings
from ml.core.errors import InsighteraError
from ml.core.instants import instant
from ml.core.macros import rendered
from ml.core.sql import identifier
from ml.features.point_in_time import MACROS, SINCE

_MACROS = rendered("duckdb", *MACROS, "feature_table/feature_audit_columns")
# What `feature_table` adds to every feature table: {name: {type, description}}, in its order.
AUDIT: dict[str, dict[str, str]] = _MACROS.feature_audit_columns()


def entity_keys() -> dict[str, tuple[str, ...]]:
    """The columns that name an entity, of each feature table of the project."""
    return {
        model["name"]: tuple(model["config"]["meta"]["feature_table"]["entity_keys"])
        for path in sorted((settings.PROJECT / "models" / "features").rglob("features_*.yml"))
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    }


def lookup(entity: str, as_of: str = "") -> dict[str, pa.Table]:
    """The version valid at `as_of` (UTC; empty: the newest), of each feature table that ever knew
    the entity: at most one row each.

    Several keys are separated by `/`; within one of them `/` is written `%2F`, and `%` is `%25`.
    Raises InsighteraError where nothing is built, a build is at work, or no table knows the entity.
    """
    path = settings.warehouse()
    if not path.exists():
        raise InsighteraError(f"Nothing is built in {settings.home()} yet. Run `make build` first.")
    try:
        connection = memory.connect(path, read_only=True)
    except duckdb.IOException as error:
        raise InsighteraError(
            f"{path} cannot be read while a build is at work. Try again when it has ended. ({error})"
        ) from error
    with connection:
        built = {
            name
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where schema_name = 'features' "
                "and not temporary"
            ).fetchall()
        }
        built_as_of = _built_as_of(connection)
        versions = {
            name: _versions(connection, name, keys, entity)
            for name, keys in sorted(entity_keys().items())
            if name in built
        }
        found = {
            name: _valid(rows, as_of, built_as_of).to_arrow_table()
            for name, rows in versions.items()
            if rows is not None and rows.limit(1).fetchone()
        }
    if not found:
        raise InsighteraError(f"No feature table knows {entity!r}. Check the number or the code.")
    return found


def _versions(
    connection: duckdb.DuckDBPyConnection, table: str, keys: tuple[str, ...], entity: str
) -> duckdb.DuckDBPyRelation | None:
    """All versions of an entity; None where it has not as many keys as the table."""
    parts = entity.split("/", len(keys) - 1)
    if len(parts) != len(keys):
        return None
    values = parts if len(keys) == 1 else [unquote(part) for part in parts]
    wanted = " and ".join(f"cast({identifier(key)} as varchar) = ?" for key in keys)
    query = f"select * from features.{identifier(table)} where {wanted}"  # noqa: S608
    return connection.sql(query, params=values)


def _built_as_of(connection: duckdb.DuckDBPyConnection) -> str:
    """The instant of the warehouse's newest build, as SQL."""
    ((as_of,),) = connection.execute("select max(as_of) from staging.this_build").fetchall()
    return f"timestamp '{as_of}'"


def _valid(
    versions: duckdb.DuckDBPyRelation, as_of: str, built_as_of: str
) -> duckdb.DuckDBPyRelation:
    """The version of an instant, what counts days as of it."""
    then = f"timestamp '{instant(as_of)}'" if as_of else built_as_of
    held = f"valid_from <= {then} and valid_to > {then} and system_to > timestamp '9999-01-01'"
    found = versions.filter(held if as_of else "is_current")
    types = dict(zip(found.columns, found.types, strict=True))
    return found.project(
        ", ".join(
            f"{_MACROS.days_counted(identifier(name), identifier(name + SINCE), then, types[name])} "
            f"as {identifier(name)}"
            if name + SINCE in types
            else identifier(name)
            for name in found.columns
            if not name.endswith(SINCE)
        )
    )
