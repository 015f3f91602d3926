"""The engine of this process: DuckDB."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ml import lake
from ml.core.sql import identifier, identifiers
from ml.engine.protocol import (
    BATCH_ROWS,
    Frame,
    Function,
    Join,
    Read,
    Shared,
    at_instant,
    holding,
    key_text,
)

ENTITY = "entity_number"


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
        return f"md5_number_lower({key_text(self.quoted, columns)})"

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
        reads: Sequence[Read],
        keys: Sequence[str],
        instant: datetime,
        join: Join,
    ) -> Frame:
        population = (
            at_instant(spine, instant)
            .project(self.quoted(*dict.fromkeys([*keys, "cutoff"])))
            .to_arrow_table()
        )
        # The join is faster on numbers, and on the population's versions only.
        numbers = pa.array(np.arange(population.num_rows, dtype=np.int32))
        population = population.append_column(ENTITY, numbers)
        connection = self._connection or self._work
        numbered = connection.from_arrow(population).set_alias("population")
        narrowed = {}
        for number, read in enumerate(reads):
            table = features[read.table]
            same = " and ".join(
                f"versions.{identifier(key)} = population.{identifier(column)}"
                for key, column in read.keys.items()
            )
            held = [
                f"versions.{identifier(column)} as {identifier(output)}"
                for output, column in read.columns.items()
            ]
            held_then = holding(table, self.columns(table), instant).set_alias("versions")
            together = held_then.join(numbered, same)
            narrowed[f"{number}"] = together.project(", ".join([identifier(ENTITY), *held]))
        if not narrowed:  # nothing but what is known ahead
            return population
        return join(
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
        """Frames under their names, as long as a query runs.

        A connection streams one relation at a time: a second one would silently end the first, so
        that several are copied first.
        """
        relations = {n: f for n, f in named.items() if isinstance(f, duckdb.DuckDBPyRelation)}
        if len(relations) > 1:
            copies = {each: self._copied(each) for each in set(relations.values())}
            named = {**named, **{name: copies[each] for name, each in relations.items()}}
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

    def _copied(self, relation: duckdb.DuckDBPyRelation) -> str:
        target = next(self._names)
        self._work.register("incoming", self.reader(relation))
        self._work.execute(f"create table {target} as from incoming")
        self._work.unregister("incoming")
        return target


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
