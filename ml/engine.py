"""Where a step's tables live: in this process (DuckDB) or on Spark's executors. One interface.

A step says what it does to its tables once: in SQL that both engines read, or as a function from
one Arrow table to another, which is called on a batch at a time. The thin models hand over what dbt
gives them, relations of DuckDB or frames of Spark, and get one of these back.

Nothing that grows with the data comes to Spark's driver but by `arrow`, whose callers bound it.
The join is imported where it is asked for: commands that only read the lake start without it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial, reduce
from itertools import count
from typing import Any, Protocol

import duckdb
import numpy as np
import pyarrow as pa

from ml import frames, lake
from ml.sql import identifier, identifiers, text

BATCH_ROWS = 100_000  # some 300 MB at twenty features
Frame = Any  # a relation, an Arrow table or reader, the name of a kept table; or a Spark frame
Function = Callable[[pa.Table], pa.Table]


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
        reads: Mapping[str, Mapping[str, str]],
        keys: Sequence[str],
        instant: datetime,
    ) -> Frame:
        """The rows of `spine` whose `cutoff` is `instant`, with the features known then; of each
        table the columns `reads` (output -> column), nothing wider."""

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


@contextmanager
def opened(connection: Any = None) -> Iterator[Engine]:
    """The engine of what dbt passes as `session`; what it kept is dropped in the end."""
    if not frames.is_spark(connection):
        with duckdb.connect() as work:
            yield DuckDB(work, connection)
        return
    engine = Spark(connection)
    try:
        yield engine
    finally:
        engine.drop()


class DuckDB:
    """Works beside dbt's connection, in a database in memory: dbt's is amid a transaction."""

    def __init__(self, work: duckdb.DuckDBPyConnection, connection: Any) -> None:
        self._work, self._connection = work, connection
        self._names = (f"kept_{number}" for number in count())

    def quoted(self, *names: str) -> str:
        return identifiers(names)

    def columns(self, frame: Frame) -> list[str]:
        if isinstance(frame, duckdb.DuckDBPyRelation):
            return list(frame.columns)
        return list(frame.schema.names)

    def schema(self, frame: Frame, columns: Sequence[str]) -> pa.Schema:
        if isinstance(frame, duckdb.DuckDBPyRelation):
            return frame.project(identifiers(columns)).limit(0).to_arrow_table().schema
        return pa.schema([frame.schema.field(column) for column in columns])

    def key_hash(self, columns: Sequence[str]) -> str:
        return f"md5_number_lower({_key_text(self.quoted, columns)})"

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None, **named: Frame) -> Frame:
        with self._named(named):
            return self._work.execute(query, dict(parameters or {})).to_arrow_table()

    def kept(
        self, query: str, parameters: Mapping[str, Any] | None = None, **named: Frame
    ) -> Frame:
        target = next(self._names)
        with self._named(named):
            self._work.execute(f"create table {target} as {query}", dict(parameters or {}))
        return target

    def count(self, frame: Frame, condition: str = "true") -> int:
        relation = self._work.table(frame) if isinstance(frame, str) else frame
        return int(relation.filter(condition).aggregate("count(*)").fetchall()[0][0])

    def arrow(self, frame: Frame) -> pa.Table:
        return self.reader(frame).read_all()

    def reader(self, frame: Frame, rows: int = BATCH_ROWS) -> pa.RecordBatchReader:
        if isinstance(frame, pa.RecordBatchReader):
            return frame
        if isinstance(frame, pa.Table):
            return frame.to_reader(rows)
        if isinstance(frame, str):  # on a cursor of its own the connection stays free meanwhile
            return self._work.cursor().execute(f"from {frame}").to_arrow_reader(rows)
        return frame.to_arrow_reader(rows)

    def answer(self, frame: Frame) -> Frame:
        return self.arrow(frame)

    def mapped(
        self, frame: Frame, function: Function, schema: pa.Schema, rows: int = BATCH_ROWS
    ) -> Frame:
        batches = (
            batch
            for table in _tables(self.reader(frame, rows), rows)
            for batch in function(table).combine_chunks().to_batches()
        )
        return pa.RecordBatchReader.from_batches(schema, batches)

    def shared(self, value: Any) -> Any:
        return Shared(value)

    def union(self, parts: Sequence[Frame], schema: pa.Schema) -> Frame:
        return pa.concat_tables(
            [schema.empty_table(), *(self.arrow(p).cast(schema) for p in parts)]
        )

    def latest(self, frame: Frame, keys: Sequence[str], order: str) -> Frame:
        named = self.quoted(*keys)
        return self.sql(
            f"""
            select unnest(latest)
            from (select {named}, max_by(rows_, {order}) as latest from rows_ group by {named})
            order by {named}
            """,  # noqa: S608
            rows_=frame,
        )

    def joined_at(
        self,
        spine: Frame,
        features: Mapping[str, Frame],
        reads: Mapping[str, Mapping[str, str]],
        keys: Sequence[str],
        instant: datetime,
    ) -> Frame:
        from ml.features import point_in_time_join

        population = _at(spine, instant).project(f"{self.quoted(*keys)}, cutoff").to_arrow_table()
        # The join is faster on numbers, and on the population's versions only.
        numbers = pa.array(np.arange(population.num_rows, dtype=np.int32))
        population = population.append_column(ENTITY, numbers)
        connection = self._connection or self._work
        numbered = connection.from_arrow(population).set_alias("population")
        same = " and ".join(f"versions.{q} = population.{q}" for q in map(identifier, keys))
        narrowed = {}
        for table, wanted in reads.items():
            holding = _holding(features[table], self.columns(features[table]), instant)
            held = [
                f"versions.{identifier(column)} as {identifier(output)}"
                for output, column in wanted.items()
            ]
            together = holding.set_alias("versions").join(numbered, same)
            narrowed[table] = together.project(", ".join([identifier(ENTITY), *held]))
        return point_in_time_join(
            population, narrowed, entity_keys=[ENTITY], timestamp="cutoff", known_at=instant
        )

    def read(self, table: str, **choice: Any) -> Frame:
        return lake.read(table, **choice)

    def append(
        self,
        table: str,
        rows: Frame,
        summary: Mapping[str, str],
        *,
        branch: str,
        onto: int | None,
    ) -> int:
        written = 0
        for batch in self.reader(rows):  # a snapshot of the branch each
            onto = lake.append(
                table, pa.Table.from_batches([batch]), summary, branch=branch, onto=onto
            )
            written += batch.num_rows
        return written

    @contextmanager
    def _named(self, named: Mapping[str, Frame]) -> Iterator[None]:
        """Frames under their names, as long as a query runs."""
        for name, frame in named.items():
            if isinstance(frame, str):
                self._work.execute(f"create or replace temp view {name} as from {frame}")
            else:
                relation = isinstance(frame, duckdb.DuckDBPyRelation)
                self._work.register(name, self.reader(frame) if relation else frame)
        yield
        for name, frame in named.items():
            if not isinstance(frame, str):
                self._work.unregister(name)


class Spark:
    """Works in the session's executors; queries are planned here and nothing else."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._kept: list[Any] = []

    def quoted(self, *names: str) -> str:
        return ", ".join("`" + name.replace("`", "``") + "`" for name in names)

    def columns(self, frame: Frame) -> list[str]:
        return list(frame.columns)

    def schema(self, frame: Frame, columns: Sequence[str]) -> pa.Schema:
        return frames.arrow_schema(frame.select(*columns))

    def key_hash(self, columns: Sequence[str]) -> str:
        # DuckDB reads the second half of the digest from its last byte to its first.
        digest = f"md5({_key_text(self.quoted, columns)})"
        turned = ", ".join(f"substr({digest}, {position}, 2)" for position in range(31, 15, -2))
        return f"cast(conv(concat({turned}), 16, 10) as decimal(20, 0))"

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None, **named: Frame) -> Frame:
        bound = re.sub(r"\$(\w+)", r":\1", query)
        with frames.views({n: self.frame(f) for n, f in named.items()}, self._session) as views:
            ctes = ", ".join(f"{name} as (select * from {view})" for name, view in views.items())  # noqa: S608
            planned = self._session.sql(f"with {ctes} {bound}", args=dict(parameters or {}))
            return planned.select("*")  # a write would resolve the query's own text once more

    def kept(
        self, query: str, parameters: Mapping[str, Any] | None = None, **named: Frame
    ) -> Frame:
        self._kept.append(self.sql(query, parameters, **named).persist())
        return self._kept[-1]

    def count(self, frame: Frame, condition: str = "true") -> int:
        return int(frame.filter(condition).count())

    def arrow(self, frame: Frame) -> pa.Table:
        return frames.to_arrow(frame, "the rows")

    def reader(self, frame: Frame) -> pa.RecordBatchReader:
        return frames.reader(frame)

    def answer(self, frame: Frame) -> Frame:
        return frame

    def mapped(
        self,
        frame: Frame,
        function: Function,
        schema: pa.Schema,
        rows: int = BATCH_ROWS,  # noqa: ARG002  (spark.sql.execution.arrow.maxRecordsPerBatch)
    ) -> Frame:
        return frame.mapInArrow(partial(_each, function=function), frames.spark_schema(schema))

    def shared(self, value: Any) -> Any:
        return self._session.sparkContext.broadcast(value)

    def union(self, parts: Sequence[Frame], schema: pa.Schema) -> Frame:
        return reduce(
            lambda left, right: left.unionByName(right), parts, self.frame(schema.empty_table())
        )

    def latest(self, frame: Frame, keys: Sequence[str], order: str) -> Frame:
        named = self.quoted(*keys)
        return self.sql(
            f"select max_by(struct(*), {order}) as latest from rows_ group by {named}",  # noqa: S608
            rows_=frame,
        ).select("latest.*")

    def joined_at(
        self,
        spine: Frame,
        features: Mapping[str, Frame],
        reads: Mapping[str, Mapping[str, str]],
        keys: Sequence[str],
        instant: datetime,
    ) -> Frame:
        from ml.features import point_in_time_join

        narrowed = {
            table: _holding(features[table], self.columns(features[table]), instant).selectExpr(
                *(self.quoted(key) for key in keys),
                *(f"{self.quoted(column)} as {self.quoted(new)}" for new, column in wanted.items()),
            )
            for table, wanted in reads.items()
        }
        return point_in_time_join(
            _at(spine, instant).select(*keys, "cutoff"),
            narrowed,
            entity_keys=list(keys),
            timestamp="cutoff",
            known_at=instant,
        )

    def read(self, table: str, **choice: Any) -> Frame:
        options = {
            "snapshot": ("snapshot-id", choice.get("snapshot")),
            "branch": ("branch", choice.get("branch")),
        }
        reader = self._session.read
        for option, value in options.values():
            if value is not None and value != lake.MAIN:
                reader = reader.option(option, value)
        frame = reader.table(f"{lake.NAMESPACE}.{self.quoted(table)}")
        for sign, wanted in (("=", choice.get("equal")), ("<=", choice.get("at_most"))):
            for column, value in (wanted or {}).items():
                frame = frame.filter(f"{self.quoted(column)} {sign} {literal(value)}")
        columns = choice.get("columns")
        return frame.select(*columns) if columns else frame

    def append(
        self,
        table: str,
        rows: Frame,
        summary: Mapping[str, str],
        *,
        branch: str,
        onto: int | None,
    ) -> int:
        schema = lake.schema(table)
        if onto is None:  # Spark writes to a branch that there is
            onto = lake.append(table, schema.empty_table(), summary, branch=branch, onto=None)
        lake.expect(table, branch, onto)
        absent = [field for field in schema if field.name not in rows.columns]
        kinds = frames.spark_schema(schema)
        rows = rows.selectExpr(
            "*",
            *(
                f"cast(null as {kinds[field.name].dataType.simpleString()}) as "
                f"{self.quoted(field.name)}"
                for field in absent
            ),
        )
        writer = rows.writeTo(f"{lake.NAMESPACE}.{self.quoted(table)}.branch_{branch}")
        for key, value in summary.items():
            writer = writer.option(f"snapshot-property.{key}", value)
        # A day is one partition: sent to its own task, all of it would be scored in one place.
        writer.option("distribution-mode", "none").option("fanout-enabled", "true").append()
        return lake.history(table, lake.head(table, branch))[0].rows

    def drop(self) -> None:
        """Forget what was kept."""
        for frame in self._kept:
            frame.unpersist()
        self._kept.clear()

    def frame(self, rows: Frame) -> Frame:
        """An Arrow table as a frame of the session; a frame as it is."""
        return frames.to_spark(rows, self._session) if isinstance(rows, pa.Table) else rows


ENTITY = "entity_number"


def _each(batches: Iterator[pa.RecordBatch], function: Function) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from function(pa.Table.from_batches([batch])).combine_chunks().to_batches()


def _tables(reader: pa.RecordBatchReader, rows: int) -> Iterator[pa.Table]:
    """The reader's batches, put together to some `rows` at a time."""
    held: list[pa.RecordBatch] = []
    number = 0
    for batch in reader:
        held.append(batch)
        number += batch.num_rows
        if number >= rows:
            yield pa.Table.from_batches(held)
            held, number = [], 0
    if number:
        yield pa.Table.from_batches(held)


def _at(spine: Frame, instant: datetime) -> Frame:
    return spine.filter(f"cutoff = {literal(instant)}")


def _holding(frame: Frame, columns: Sequence[str], instant: datetime) -> Frame:
    """Versions that can hold at an instant: the join decides, but need not read years of them."""
    moment = literal(instant)
    holding = frame.filter(f"valid_from <= {moment}")
    if "valid_to" in columns:
        holding = holding.filter(f"valid_to is null or valid_to > {moment}")
    return holding


def _key_text(quoted: Callable[..., str], columns: Sequence[str]) -> str:
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
