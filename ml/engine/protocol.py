"""Where a step's tables live: in this process (DuckDB) or on Spark's executors. One interface.

A step says what it does to its tables once: in SQL that both engines read, or as a function from
one Arrow table to another, which is called on a batch at a time. The thin models hand over what dbt
gives them, relations of DuckDB or frames of Spark, and get one of these back.

Nothing that grows with the data comes to Spark's driver but by `arrow`, whose callers bound it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from ml.core.sql import text

BATCH_ROWS = 100_000  # some 300 MB at twenty features
Frame = Any  # a relation, an Arrow table or reader, the name of a kept table; or a Spark frame
Function = Callable[[pa.Table], pa.Table]
Join = Callable[..., Frame]


@dataclass(frozen=True)
class Read:
    """What is wanted of a feature table, by which keys."""

    table: str
    keys: Mapping[str, str]  # its column -> the spine's
    columns: Mapping[
        str, str
    ]  # name in the answer -> its column; `valid_*` and `system_*` as they are


@dataclass(frozen=True)
class Shared:
    """A value as functions on other machines read it: Spark's broadcast looks the same."""

    value: Any


class Engine(Protocol):
    """What the steps ask for. Queries name their frames by the keywords they are passed as, bind
    values as `$name`, quote by `quoted`, and begin with SELECT.
    """

    def quoted(self, *names: str) -> str:
        """Column names, quoted, with commas."""

    def columns(self, frame: Frame) -> list[str]:
        """Its columns."""

    def schema(self, frame: Frame, columns: Sequence[str]) -> pa.Schema:
        """Arrow types of some of its columns."""

    def key_hash(self, columns: Sequence[str]) -> str:
        """SQL: 64 bits of the MD5 of the columns as texts, the same number on every engine."""

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None, **named: Frame) -> Frame:
        """A query's answer; each frame is read at most once."""

    def kept(
        self, query: str, parameters: Mapping[str, Any] | None = None, **named: Frame
    ) -> Frame:
        """A query's answer, computed once, to be read often until the engine is left."""

    def count(self, frame: Frame, condition: str = "true") -> int:
        """Rows that meet a condition."""

    def arrow(self, frame: Frame) -> pa.Table:
        """All rows, in this process: for what is bounded."""

    def reader(self, frame: Frame) -> pa.RecordBatchReader:
        """All rows, in this process, a batch at a time."""

    def answer(self, frame: Frame) -> Frame:
        """As dbt takes it from a model."""

    def mapped(
        self, frame: Frame, function: Function, schema: pa.Schema, rows: int = BATCH_ROWS
    ) -> Frame:
        """`function` of every batch (`rows` at most); it gives tables of `schema`. Read it once."""

    def shared(self, value: Any) -> Any:
        """Something whose `value` a mapped function reads where it runs."""

    def union(self, parts: Sequence[Frame], schema: pa.Schema) -> Frame:
        """The rows of all of them."""

    def latest(self, frame: Frame, keys: Sequence[str], order: str) -> Frame:
        """The row of each key that is last by `order` (SQL)."""

    def joined_at(
        self,
        spine: Frame,
        features: Mapping[str, Frame],
        reads: Sequence[Read],
        keys: Sequence[str],
        instant: datetime,
        join: Join,
    ) -> Frame:
        """The rows of `spine` whose `cutoff` is `instant`, its columns `keys` and `cutoff`, with what was
        known then of each table in `reads`, nothing wider. `join`: `ml.features.point_in_time_join`,
        which no engine knows.
        """

    def read(self, table: str, **choice: Any) -> Frame:
        """Rows of a lake table; `choice` as of `ml.lake.read`."""

    def append(
        self,
        table: str,
        rows: Frame,
        summary: Mapping[str, str],
        *,
        branch: str,
        onto: int | None,
    ) -> int:
        """Add rows to a branch whose head is `onto`; how many they were."""


def at_instant(spine: Frame, instant: datetime) -> Frame:
    return spine.filter(f"cutoff = {literal(instant)}")


def holding(frame: Frame, columns: Sequence[str], instant: datetime) -> Frame:
    """Versions that can hold at an instant: the join decides, but need not read years of them."""
    moment = literal(instant)
    holding = frame.filter(f"valid_from <= {moment}")
    if "valid_to" in columns:
        holding = holding.filter(f"valid_to is null or valid_to > {moment}")
    return holding


def key_text(quoted: Callable[..., str], columns: Sequence[str]) -> str:
    """SQL: the columns as one text; several are quoted, so that other keys are other texts."""
    texts = [f"cast({quoted(column)} as string)" for column in columns]
    if len(texts) == 1:
        return texts[0]
    held = [f"""'"' || replace({each}, '"', '""') || '"'""" for each in texts]
    return " || ',' || ".join(held)


def literal(value: Any) -> str:
    """A value as SQL of both engines: a timestamp, or a text."""
    if isinstance(value, datetime):
        return f"cast({text(value.isoformat(sep=' '))} as timestamp)"
    return text(str(value))
