"""Of a feature table in DuckDB the versions that a join can answer with: what is read into this process
grows with the spine, and not with the years of versions that everyone has.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from ml.core.sql import identifier, identifiers

PLACE = "__place"  # a version's number in the table
TIMES = ("valid_from", "valid_to")
BELIEF = ("system_from", "system_to")


def needed(
    table: duckdb.DuckDBPyRelation,
    columns: Sequence[str],
    keys: Mapping[str, str],
    asked: pa.Table,
    connection: Any,
) -> duckdb.DuckDBPyRelation:
    """`columns` of the versions that held, and were believed, at some row of `asked`, once for each
    such instant. Which of them answers is for the join to decide.

    `keys`: column of the table -> column of `asked`, which also holds `instant` and, where belief is
    asked of, `known_at`, as naive UTC. The work is done by `connection`, within its memory. A table
    whose keys or times are of other types than those of `asked` comes whole: DuckDB would not compare
    them as the join does.
    """
    spine = connection.from_arrow(asked).distinct()
    own, told = (dict(zip(each.columns, each.types, strict=True)) for each in (table, spine))
    believed = BELIEF if "known_at" in told else ()
    compared = [name for name in (*TIMES, *believed) if name in own]
    if any(own[name] != told["instant"] for name in compared) or any(
        own[key] != told[name] for key, name in keys.items()
    ):
        return table.project(identifiers(columns))
    rules = {
        "valid_from": "{} <= asked.instant",
        "valid_to": "({0} is null or {0} > asked.instant)",
        "system_from": "{} < asked.known_at",
        "system_to": "({0} is null or {0} >= asked.known_at)",
    }
    same = [f"versions.{identifier(key)} = asked.{name}" for key, name in keys.items()]
    held = [rules[name].format(f"versions.{name}") for name in compared]
    # Of versions that nothing else ranks the last one counts, where a table has an order.
    ordered = connection.sql("select current_setting('preserve_insertion_order')").fetchall()[0][0]
    place = f", row_number() over () as {PLACE}" if ordered else ""
    found = (
        table.project(identifiers(columns) + place)
        .set_alias("versions")
        .join(spine.set_alias("asked"), " and ".join([*same, *held]))
    )
    if ordered:
        found = found.order(PLACE)
    return found.project(", ".join(f"versions.{identifier(column)}" for column in columns))
