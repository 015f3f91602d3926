"""The one door between engines' frames: whatever holds rows becomes an Arrow table, or a Spark table."""

from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa

from ml.errors import InsighteraError


def to_arrow(frame: Any, what: str) -> pa.Table:
    """`frame` as an Arrow table without metadata, its rows in their order.

    `frame` is an Arrow table or record batch (as it is), a pandas or Polars frame (a lazy one is
    collected), or a DuckDB relation (executed). `what` names it in an error.

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
            "or a DuckDB relation."
        )
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InsighteraError(f"{what} has more than one column {twice}. Rename one of each.")
    return table.replace_schema_metadata(None)


def write(frame: Any, table: str, session: Any) -> None:
    """Make `frame` the Iceberg table `table` (`schema.name`) of a Spark session, in one commit.

    A Spark frame is written by the executors; whatever `to_arrow` takes goes through this process:
    for what is small by nature. Raises as `to_arrow` does.
    """
    from pyspark.sql import DataFrame
    from pyspark.sql.pandas.types import from_arrow_schema

    if not isinstance(frame, DataFrame):
        rows = to_arrow(frame, f"the rows of {table}")
        schema = from_arrow_schema(rows.schema, prefer_timestamp_ntz=True)
        frame = session.createDataFrame([tuple(row.values()) for row in rows.to_pylist()], schema)
    frame.writeTo(table).using("iceberg").createOrReplace()


def _arrow(frame: Any) -> pa.Table | None:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if isinstance(frame, duckdb.DuckDBPyRelation):
        return frame.to_arrow_table()
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    if isinstance(frame, pd.DataFrame):
        return pa.Table.from_pandas(frame, preserve_index=False)
    return None
