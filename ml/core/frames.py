"""The one door between engines' frames: whatever holds rows becomes an Arrow table, or a Spark table."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa

from ml.core.errors import InsighteraError


def to_arrow(frame: Any, what: str) -> pa.Table:
    """`frame` as an Arrow table without metadata, its rows in their order.

    `frame` is an Arrow table or record batch (as it is), a pandas or Polars frame (a lazy one is
    collected), a DuckDB relation (executed), or a Spark frame (collected: for what is bounded).
    `what` names it in an error.

    Raises InsighteraError for anything else, for two columns of one name, and for a pandas column
    that holds values of several types.
    """
    try:
        table = _arrow(frame)
    except (pa.ArrowException, TypeError, OverflowError, duckdb.Error) as error:
        raise InsighteraError(f"{what} cannot be read as a table: {error}") from error
    if table is None:
        raise InsighteraError(
            f"{what} is a {type(frame).__name__}. Pass an Arrow table, a pandas or Polars frame, "
            "a DuckDB relation, or a Spark frame."
        )
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InsighteraError(f"{what} has more than one column {twice}. Rename one of each.")
    return table.replace_schema_metadata(None)


def write(frame: Any, table: str, session: Any) -> None:
    """Make `frame` the Iceberg table `table` (`schema.name`) of a Spark session, in one commit.

    A Spark frame is written by the executors; whatever else `to_arrow` takes goes through this
    process: for what is small by nature. Raises as `to_arrow` does.
    """
    if not is_spark(frame):
        frame = to_spark(to_arrow(frame, f"the rows of {table}"), session)
    frame.writeTo(table).using("iceberg").createOrReplace()


def is_spark(frame: Any) -> bool:
    """Whether it is a frame of Spark, or its session, found out without importing Spark."""
    return type(frame).__module__.startswith("pyspark.sql.")


def to_spark(rows: pa.Table, session: Any) -> Any:
    """A frame of Spark, its rows in their order. They pass through Python one by one: few rows."""
    held = [tuple(row.values()) for row in rows.to_pylist()]
    return session.createDataFrame(held, spark_schema(rows.schema)).coalesce(1)


def spark_schema(schema: pa.Schema) -> Any:
    """Spark's types for Arrow's; timestamps stay without a zone."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema, prefer_timestamp_ntz=True)


def arrow_schema(frame: Any) -> pa.Schema:
    """Arrow's types for those of a frame of Spark."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(frame.schema)


@contextmanager
def views(named: Mapping[str, Any], session: Any) -> Iterator[dict[str, str]]:
    """Frames of a Spark session as views with names of their own, {name: view}, while a query is
    planned: what is planned stays planned.
    """
    found = {name: f"frame_{uuid4().hex}" for name in named}
    for name, view in found.items():
        named[name].createTempView(view)
    try:
        yield found
    finally:
        for view in found.values():
            session.catalog.dropTempView(view)


def reader(frame: Any) -> pa.RecordBatchReader:
    """A Spark frame's rows in their order, in this process, a partition at a time."""
    rows = frame.mapInArrow(_serialized, "batch binary").toLocalIterator(prefetchPartitions=True)
    batches = (batch for row in rows for batch in pa.ipc.open_stream(row["batch"]))
    return pa.RecordBatchReader.from_batches(arrow_schema(frame), batches)


def _serialized(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Each batch as one value."""
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        value = pa.array([sink.getvalue().to_pybytes()], pa.binary())
        yield pa.RecordBatch.from_arrays([value], ["batch"])


def _arrow(frame: Any) -> pa.Table | None:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if isinstance(frame, duckdb.DuckDBPyRelation):
        return frame.to_arrow_table()
    # Who never imported a library has no frame of it.
    pd, pl = sys.modules.get("pandas"), sys.modules.get("polars")
    if pl is not None and isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if pl is not None and isinstance(frame, pl.DataFrame):
        return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    if pd is not None and isinstance(frame, pd.DataFrame):
        return pa.Table.from_pandas(frame, preserve_index=False)
    if is_spark(frame):
        # Spark 3.5 has no public word for it; `reader` costs a Python process per partition.
        return pa.Table.from_batches(frame._collect_as_arrow(), arrow_schema(frame))
    return None
