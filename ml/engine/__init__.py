"""Where a step's tables live, behind one protocol: DuckDB in this process, or Spark's executors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ml.core import frames, memory
from ml.engine.on_duckdb import DuckDB
from ml.engine.on_spark import Spark
from ml.engine.protocol import BATCH_ROWS, Engine, Frame, Function, Read, literal

__all__ = ["BATCH_ROWS", "Engine", "Frame", "Function", "Read", "literal", "opened"]


@contextmanager
def opened(connection: Any = None) -> Iterator[Engine]:
    """The engine of what dbt passes as `session`; what it kept is dropped in the end."""
    if not frames.is_spark(connection):
        with memory.connect() as work:
            yield DuckDB(work, connection)
        return
    engine = Spark(connection)
    try:
        yield engine
    finally:
        engine.drop()
