"""Feature values as they held, and were believed, at an instant: the point-in-time join.

What holds is decided by the macro `point_in_time_match` of `macros/point_in_time_join.sql`, which
dbt models compile too. Here it is given slim relations (keys as numbers, times, row numbers) and
answers in row numbers; the columns themselves never pass through SQL but are taken by those.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.core import memory
from ml.core.errors import InsighteraError
from ml.core.frames import arrow_schema, is_spark, to_arrow, to_spark, views
from ml.core.macros import rendered
from ml.features.needed import needed

VALIDITY = ("valid_from", "valid_to", "system_from", "system_to")
MACROS = (
    "history/end_of_time",
    "engine/day_number",
    "engine/last_known",
    "engine/row_ids",
    "engine/version_before",
    "point_in_time_join",
)
LONGEST = timedelta(days=4_000_000)  # from year 1 to 9999 and more; what DuckDB can add to a time
SINCE = "__since"  # ends the name of the column that says from when a feature counts days
_DAY = 86_400_000_000  # microseconds
UTC = pa.timestamp("us")  # naive, as everywhere in the warehouse


def point_in_time_join(
    spine: Any,
    features: Mapping[str, Any],
    *,
    entity_keys: Sequence[str],
    timestamp: str,
    ttl: timedelta | None = None,
    known_at: str | datetime | date | np.datetime64 | None = None,
    join_key_map: Mapping[str, Mapping[str, str]] | None = None,
    connection: Any = None,
) -> Any:
    """Every row of `spine` once, in its order, with each feature table's version of that instant.

    `spine` and each of `features` (by name) are an Arrow table, a pandas or Polars frame, or a
    DuckDB relation. The spine holds `entity_keys` and `timestamp`; a feature table the keys,
    `valid_from`, the features, and optionally `valid_to`, `system_from`, `system_to`. Times are
    timestamps or dates; those without a time zone are UTC.

    Of an entity's versions with `valid_from <= timestamp < valid_to` that are believed, the one of
    the latest `valid_from` counts, then of the latest `system_from`, then the last row. Believed
    are those with an open `system_to` (NULL or 9999-12-31, or no such column); with `known_at`, a
    column of the spine or one instant, those with `system_from < known_at <= system_to`. A version
    that began more than `ttl` before gives NULL. A NULL key (or NaN) or time matches nothing.

    Gives the spine's columns as they are, then each feature table's but for the keys, `valid_*`,
    `system_*`, `is_current` and `<feature>__since`, from when on that feature counts the days; a name
    found twice comes as `<name>__<column>`. `feature_timestamp` and `feature_hash` are columns like
    any other. The work is done on a cursor of `connection`, or in memory.

    `join_key_map`, {side: {key of a feature table: column of the spine}}: a table without the entity
    keys is joined once for each side whose keys it has, and `<side>__` stands before its columns. Of
    pairs of people that is `{"a": {"nidn": "nidn_a"}, "b": {"nidn": "nidn_b"}}`.

    Raises InsighteraError for missing columns, keys that cannot be compared, times that are none or
    finer than a microsecond, a `known_at` without `system_from`, no features, colliding names.
    """
    keys = _names(entity_keys, timestamp, features)
    sides = _sides(join_key_map)
    if any(map(is_spark, features.values())):
        return _on_spark(spine, features, keys, timestamp, _ttl(ttl), known_at, sides)
    rows = to_arrow(spine, "the spine")
    schemas = {name: _schema(table, f"feature table {name!r}") for name, table in features.items()}
    found_by = _checked(rows.schema, schemas, keys, timestamp, sides)
    known = _known(known_at, rows)
    _has_system_time(schemas, known)
    limit = _ttl(ttl)

    columns = list(rows.columns)
    names = list(rows.column_names)
    instants = _instants(rows, timestamp, known)
    with _cursor(connection) as cursor:
        for reading in found_by:
            held = features[reading.table]
            clocks = _clocks(reading.columns, schemas[reading.table].names)
            if connection is not None and isinstance(held, duckdb.DuckDBPyRelation):
                times = [each for each in VALIDITY if each in held.columns]
                asked, by = _asked(rows, instants, reading.keys, known)
                read = [*reading.keys, *times, *reading.columns, *clocks.values()]
                held = needed(held, read, by, asked, connection)
            table = to_arrow(held, f"feature table {reading.table!r}")
            found = _match(cursor, rows, instants, table, reading, limit, known)
            taken = _taken(table, [*reading.columns, *clocks.values()], found)
            for column, since in clocks.items():
                taken[column] = _days_counted(taken[column], taken[since], instants["instant"])
            columns += [taken[column] for column in reading.columns]
            names += reading.columns.values()
    return pa.Table.from_arrays(columns, names=names)


@dataclass(frozen=True)
class Reading:
    """A feature table as a join reads it; a table of sides is read once for each of them."""

    table: str  # its name in the join
    side: str  # empty where the entity keys join it
    keys: Mapping[str, str]  # its column -> the spine's
    columns: Mapping[str, str]  # its column -> name in the answer


def readings(
    spine: Sequence[str],
    tables: Mapping[str, Sequence[str]],
    entity_keys: Sequence[str],
    join_key_map: Mapping[str, Mapping[str, str]],
) -> list[Reading]:
    """How a join reads its feature tables, whose columns are given beside the spine's: the macro
    `point_in_time_readings`.
    """
    held = {name: list(columns) for name, columns in tables.items()}
    told = _macros().point_in_time_readings(list(spine), held, list(entity_keys), join_key_map)
    return [Reading(*(each[key] for key in ("table", "side", "keys", "columns"))) for each in told]


def _schema(table: Any, what: str) -> pa.Schema:
    relation = isinstance(table, duckdb.DuckDBPyRelation)
    return to_arrow(table.limit(0) if relation else table, what).schema


def _on_spark(
    spine: Any,
    features: Mapping[str, Any],
    keys: list[str],
    timestamp: str,
    ttl: timedelta | None,
    known_at: Any,
    sides: Mapping[str, Mapping[str, str]],
) -> Any:
    """The whole macro, as dbt compiles it for Spark, over frames of one session."""
    session = next(frame for frame in features.values() if is_spark(frame)).sparkSession
    frames = {
        name: frame if is_spark(frame) else to_spark(to_arrow(frame, what), session)
        for name, (frame, what) in {
            "": (spine, "the spine"),
            **{name: (table, f"feature table {name!r}") for name, table in features.items()},
        }.items()
    }
    schemas = {name: arrow_schema(frame) for name, frame in frames.items()}
    rows = schemas.pop("")
    found_by = _checked(rows, schemas, keys, timestamp, sides)
    asked = _known(known_at, rows.empty_table())
    _has_system_time(schemas, asked)
    _utc(rows.empty_table().column(timestamp), f"{timestamp!r} of the spine")
    for reading in found_by:
        schema, what = schemas[reading.table], f"feature table {reading.table!r}"
        for key, column in reading.keys.items():
            _same_kind(rows.field(column).type, schema.field(key).type, key, what)
        for column in set(VALIDITY) & set(schema.names):
            _utc(schema.empty_table().column(column), f"{column!r} of {what}")
    known = known_at
    if asked is not None and asked.column is None:
        known = f"cast('{asked.instant}' as timestamp)"
    span = None
    if ttl is not None:
        span = f"interval {ttl // timedelta(seconds=1)} seconds {ttl.microseconds} microseconds"

    def columns(view: str) -> dict[str, dict[str, str]]:
        described = session.table(view).dtypes
        return {name.lower(): {"name": name, "type": kind} for name, kind in described}

    with views(frames, session) as named:
        tables = {name: view for name, view in named.items() if name}
        join = rendered("spark", *MACROS, columns=columns).point_in_time_join
        query = join(
            named[""], tables, keys, timestamp, ttl=span, known_at=known, join_key_map=sides
        )
        return session.sql(query).select("*")


@dataclass(frozen=True)
class _Known:
    """`known_at`, checked: a column (naive UTC, one value a row of the spine) or an instant."""

    column: pa.ChunkedArray | None = None
    instant: datetime | None = None


def _match(
    cursor: duckdb.DuckDBPyConnection,
    spine: pa.Table,
    instants: pa.Table,
    table: pa.Table,
    reading: Reading,
    ttl: timedelta | None,
    known: _Known | None,
) -> pa.Array:
    """The row of `table` that each row of the spine gets, NULL where none."""
    what = f"feature table {reading.table!r}"
    versions = {
        column: _utc(table.column(column), f"{column!r} of {what}")
        for column in VALIDITY
        if column in table.column_names
    }
    versions["row_id"] = _row_ids(-len(table), 0)
    pairs = [
        _comparable(spine.column(column), table.column(key), key, what)
        for key, column in reading.keys.items()
    ]
    coded, parameters = _entities(pairs, instants.column_names, list(versions))
    for number, (left, right) in enumerate(pairs, start=1):
        instants = instants.append_column(f"key_{number}", left)
        versions[f"key_{number}"] = right
    instant = None if known is None else known.instant
    if ttl is not None:
        parameters["ttl"] = ttl
    if instant is not None:
        parameters["known_at"] = instant
    matched = _macros().point_in_time_match(
        "instants",
        "versions",
        ["entity"],
        [column for column in VALIDITY if column in versions],
        ttl="$ttl" if ttl is not None else None,
        known_column="known_at" in instants.column_names,
        known_instant="$known_at" if instant is not None else None,
    )
    cursor.register("spine_keys", instants)
    cursor.register("version_keys", pa.table(versions))
    query = f"with {coded}, matched as ({matched}) select * from matched"  # noqa: S608
    answer = cursor.execute(query, parameters).to_arrow_table()
    found = np.full(len(spine), -1, dtype=_row_type(len(table)))
    found[answer.column("spine_row_id").to_numpy()] = answer.column(
        "version_row_id"
    ).to_numpy() + len(table)
    return pa.array(found, mask=found < 0)


def _entities(
    pairs: Sequence[tuple[pa.ChunkedArray, pa.ChunkedArray]],
    of_instants: Sequence[str],
    of_versions: Sequence[str],
) -> tuple[str, dict[str, Any]]:
    """CTEs `instants` and `versions` whose keys are one small number, `entity`, and their
    parameters: the sort behind the join is as fast as its key is narrow.

    A whole-number key is taken from the smallest on, any other is numbered by a look-up.
    """
    sources = {"instants": "spine_keys", "versions": "version_keys"}
    if len(pairs) == 1 and all(pa.types.is_integer(side.type) for side in pairs[0]):
        bounds = [bound for side in pairs[0] for bound in pc.min_max(side).as_py().values()]
        low, high = (
            function((b for b in bounds if b is not None), default=0) for function in (min, max)
        )
        width = next((b for b in (8, 16, 32) if high - low < 1 << b), None)
        entity = f"cast(key_1 - $low as uint{width})" if width else "key_1"
        parameters, prefix = {"low": low} if width else {}, ""
    else:
        keys = ", ".join(f"key_{number}" for number in range(1, len(pairs) + 1))
        given = " and ".join(f"key_{number} is not null" for number in range(1, len(pairs) + 1))
        kind = "uint32" if len(pairs[0][0]) < 1 << 32 else "int64"
        entity, parameters = "entity", {}
        prefix = (
            f"entities as materialized (select {keys}, cast(row_number() over () as {kind}) "  # noqa: S608
            f"as entity from (select distinct {keys} from spine_keys where {given})), "
        )
        sources = {
            "instants": f"spine_keys inner join entities using ({keys})",
            "versions": f"version_keys inner join entities using ({keys})",
        }
    ctes = [
        f"{cte} as (select {entity} as entity, {', '.join(columns)} from {sources[cte]})"  # noqa: S608
        for cte, columns in (("instants", of_instants), ("versions", of_versions))
    ]
    return prefix + ", ".join(ctes), parameters


def _instants(spine: pa.Table, timestamp: str, known: _Known | None) -> pa.Table:
    """What the join needs of the spine but its keys."""
    columns = {
        "instant": _utc(spine.column(timestamp), f"{timestamp!r} of the spine"),
        "row_id": _row_ids(0, len(spine)),
    }
    if known is not None and known.column is not None:
        columns["known_at"] = known.column
    return pa.table(columns)


def _asked(
    spine: pa.Table, instants: pa.Table, keys: Mapping[str, str], known: _Known | None
) -> tuple[pa.Table, dict[str, str]]:
    """Who is asked about and when, for `needed`, and what the keys of a feature table are called in it.

    `keys`: column of the feature table -> column of the spine.
    """
    asked = instants.drop_columns("row_id")
    if known is not None and known.instant is not None:
        asked = asked.append_column(
            "known_at", pa.repeat(pa.scalar(known.instant, UTC), len(spine))
        )
    named = {key: f"key_{number}" for number, key in enumerate(keys, start=1)}
    for key, column in keys.items():
        asked = asked.append_column(named[key], spine.column(column))
    return asked, named


def _taken(table: pa.Table, columns: Sequence[str], rows: pa.Array) -> dict[str, Any]:
    """The columns at `rows`, NULL where a row is."""

    def taken(column: str) -> Any:
        # One chunk is many times faster to take from; beyond 2 GB of text there are always several.
        return pc.take(table.column(column).combine_chunks(), rows)

    with ThreadPoolExecutor(pa.cpu_count()) as pool:
        return dict(zip(columns, pool.map(taken, columns), strict=True))


def _clocks(columns: Iterable[str], held: Sequence[str]) -> dict[str, str]:
    """Of the features that count days the column that says since when."""
    return {name: f"{name}{SINCE}" for name in columns if f"{name}{SINCE}" in held}


def _days_counted(value: Any, since: Any, instants: pa.ChunkedArray) -> Any:
    """What counts days, at each instant: the macro `days_counted`. Without `since` the value stands."""
    today, begun = (
        np.floor_divide(pc.cast(each, pa.int64()).fill_null(0).to_numpy(), _DAY)
        for each in (instants, _utc(pa.chunked_array([since]), "what days are counted from"))
    )
    counted = pa.array(today - begun).cast(value.type)
    known = pc.and_(pc.is_valid(since), pc.is_valid(instants))
    return pc.if_else(known, counted, value)


def _row_type(length: int) -> type[np.signedinteger[Any]]:
    return np.int32 if length < 1 << 31 else np.int64


def _row_ids(first: int, end: int) -> pa.Array:
    return pa.array(np.arange(first, end, dtype=_row_type(end - first)))


def _utc(column: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """A column of timestamps or dates as naive UTC in microseconds."""
    kind = column.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind)):
        raise InsighteraError(
            f"{what} is {kind}: it must be a timestamp or a date. Convert it before the join."
        )
    try:
        # Arrow keeps the instant and drops the zone: what is left is UTC.
        return column.cast(UTC)
    except pa.ArrowInvalid as error:
        raise InsighteraError(
            f"{what} does not fit the warehouse's microseconds: {error}. Round it down, so that "
            "nothing becomes known too early."
        ) from error


def _comparable(
    left: pa.ChunkedArray, right: pa.ChunkedArray, key: str, what: str
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Both sides of a key in types that DuckDB compares by value."""
    sides = [_plain(left), _plain(right)]
    for number, kind in enumerate(_same_kind(left.type, right.type, key, what)):
        if kind == "null":
            sides[number] = sides[number].cast(sides[1 - number].type)
        elif kind == "moment":
            sides[number] = _utc(sides[number], f"The key {key!r}")
    return sides[0], sides[1]


def _same_kind(
    left: pa.DataType, right: pa.DataType, key: str, what: str
) -> tuple[str | None, str | None]:
    """Kinds of both sides of a key, which must be one."""
    kinds = _kind(left), _kind(right)
    if None in kinds or (kinds[0] != kinds[1] and "null" not in kinds):
        raise InsighteraError(
            f"The key {key!r} is {left} in the spine and {right} in {what}: they cannot "
            "be compared. Give both the same type."
        )
    return kinds


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A key without its encoding: no dictionary, NaN is NULL, whole numbers are int64."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if _kind(column.type) == "number":
        try:
            return column.cast(pa.int64())  # pandas makes floats of whole numbers with NULLs
        except pa.ArrowInvalid:
            return column
    return column


def _kind(kind: pa.DataType) -> str | None:
    """What a key's type can be compared with; None for lists, structs and the like."""
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    kinds = {
        "null": pa.types.is_null(kind),
        "number": pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind),
        "text": pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind),
        "boolean": pa.types.is_boolean(kind),
        "moment": pa.types.is_timestamp(kind) or pa.types.is_date(kind),
        "bytes": pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind),
    }
    return next((name for name, holds in kinds.items() if holds), None)


def _names(entity_keys: Any, timestamp: Any, features: Any) -> list[str]:
    """The entity keys as a list, all names checked."""
    if (
        isinstance(entity_keys, str)
        or not isinstance(entity_keys, Sequence)
        or not entity_keys
        or not all(isinstance(key, str) and key for key in entity_keys)
        or len(set(entity_keys)) < len(entity_keys)
    ):
        raise InsighteraError(
            f"`entity_keys` is {entity_keys!r}: pass a list of different column names, "
            "e.g. ['nim']."
        )
    if not isinstance(timestamp, str) or not timestamp:
        raise InsighteraError(f"`timestamp` is {timestamp!r}: pass the name of a spine's column.")
    if not isinstance(features, Mapping) or not features:
        raise InsighteraError(
            "`features` names no feature table: pass a dict of at least one, "
            "e.g. {'academic': table}."
        )
    wrong = [name for name in features if not isinstance(name, str) or not name]
    if wrong:
        raise InsighteraError(f"`features` has the names {wrong!r}: each must be a text.")
    return list(entity_keys)


def _sides(
    join_key_map: Mapping[str, Mapping[str, str]] | None,
) -> Mapping[str, Mapping[str, str]]:
    """The key map of each side, checked as far as it can be without the tables."""
    sides: Any = join_key_map or {}
    if not isinstance(sides, Mapping) or not all(
        isinstance(side, str)
        and side
        and isinstance(keys, Mapping)
        and keys
        and all(isinstance(name, str) and name for pair in keys.items() for name in pair)
        for side, keys in sides.items()
    ):
        raise InsighteraError(
            f"`join_key_map` is {join_key_map!r}: pass a dict of each side's keys, "
            "e.g. {'a': {'nidn': 'nidn_a'}}."
        )
    return sides


def _checked(
    spine: pa.Schema,
    tables: Mapping[str, pa.Schema],
    keys: Sequence[str],
    timestamp: str,
    sides: Mapping[str, Mapping[str, str]],
) -> list[Reading]:
    """How each feature table is read; nothing missing, no name twice."""
    found = readings(
        spine.names, {name: table.names for name, table in tables.items()}, keys, sides
    )
    of_spine = dict.fromkeys(column for reading in found for column in reading.keys.values())
    _has(spine, [*of_spine, timestamp], "the spine")
    for reading in found:
        what = f"feature table {reading.table!r}"
        _has(tables[reading.table], [*reading.keys, "valid_from"], what)
    final = Counter([*spine.names, *(n for reading in found for n in reading.columns.values())])
    twice = sorted(column for column, times in final.items() if times > 1)
    if twice:
        raise InsighteraError(
            f"The result would have more than one column {twice}. Rename one, or the feature table."
        )
    return found


def _has_system_time(tables: Mapping[str, pa.Schema], known: _Known | None) -> None:
    for name, table in tables.items() if known is not None else ():
        _has(table, ["system_from"], f"feature table {name!r}, which `known_at` is asked of,")


def _has(schema: pa.Schema, columns: Sequence[str], what: str) -> None:
    missing = [column for column in columns if column not in schema.names]
    if missing:
        raise InsighteraError(f"{what} has no column {missing}; it has {schema.names}.")


def _known(known_at: Any, spine: pa.Table) -> _Known | None:
    if known_at is None:
        return None
    if isinstance(known_at, str):
        _has(spine.schema, [known_at], "`known_at` names a column, and the spine")
        return _Known(
            column=_utc(spine.column(known_at), f"`known_at` ({known_at!r} of the spine)")
        )
    value = (
        known_at.astype("datetime64[us]").item()
        if isinstance(known_at, np.datetime64)
        else known_at
    )
    if isinstance(value, date) and value == value:  # pandas' NaT is a datetime that is not itself
        return _Known(instant=_utc(pa.chunked_array([pa.array([value])]), "`known_at`")[0].as_py())
    raise InsighteraError(
        f"`known_at` is {known_at!r}: pass a column of the spine, or an instant (datetime or date)."
    )


def _ttl(ttl: Any) -> timedelta | None:
    if ttl is None:
        return None
    if isinstance(ttl, timedelta) and ttl >= timedelta(0):
        return min(ttl, LONGEST)
    raise InsighteraError(
        f"`ttl` is {ttl!r}: pass a timedelta that is not negative, e.g. timedelta(days=90)."
    )


@contextmanager
def _cursor(
    connection: duckdb.DuckDBPyConnection | None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of the join's own: what it registers is nobody else's."""
    if connection is None:
        with memory.connect() as own:
            own.execute("set preserve_insertion_order = false")  # row numbers keep the order
            yield own
    else:
        with connection.cursor() as cursor:
            yield cursor


@cache
def _macros() -> Any:
    """The project's macros in DuckDB's variants."""
    return rendered("duckdb", *MACROS)
