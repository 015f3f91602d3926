"""The engine of Spark's executors."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial, reduce
from typing import Any

import pyarrow as pa

from ml import lake
from ml.core import frames
from ml.engine.protocol import (
    BATCH_ROWS,
    Frame,
    Function,
    Join,
    Read,
    at_instant,
    holding,
    key_text,
    literal,
)


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
        digest = f"md5({key_text(self.quoted, columns)})"
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
        reads: Sequence[Read],
        keys: Sequence[str],
        instant: datetime,
        join: Join,
    ) -> Frame:
        joined = at_instant(spine, instant).select(*dict.fromkeys([*keys, "cutoff"]))
        by_keys: dict[tuple[str, ...], dict[str, Frame]] = {}
        for number, read in enumerate(reads):
            table = features[read.table]
            narrowed = holding(table, self.columns(table), instant).selectExpr(
                *(f"{self.quoted(key)} as {self.quoted(new)}" for key, new in read.keys.items()),
                *(f"{self.quoted(key)} as {self.quoted(new)}" for new, key in read.columns.items()),
            )
            by_keys.setdefault(tuple(read.keys.values()), {})[f"{number}"] = narrowed
        for columns, tables in by_keys.items():  # one join, but for the sides of a pair
            joined = join(
                joined, tables, entity_keys=list(columns), timestamp="cutoff", known_at=instant
            )
        return joined

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
        for sign, name in (("=", "equal"), ("<=", "at_most"), (">=", "at_least")):
            for column, value in (choice.get(name) or {}).items():
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


def _each(batches: Iterator[pa.RecordBatch], function: Function) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from function(pa.Table.from_batches([batch])).combine_chunks().to_batches()
