"""The raw contract as data, and the one writer of raw files that keep it.

The contract itself is `models/staging/<source>/_<source>__sources.yml`; nothing here repeats it.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import yaml

from ml.core.errors import InsighteraError
from ml.core.settings import PROJECT

FORMATS = ("parquet", "csv")
MARKER = ".insightera"  # first line of this file in a raw folder: the command that wrote the folder
ROW_GROUP = 131_072  # rows buffered per table before they go to disk
TABLES_MARK = "<!-- made by `python -m ml.raw.files` from the sources' YAML: do not edit below -->"
_TYPES = {
    "varchar": pa.string(),
    "integer": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


@dataclass(frozen=True)
class Column:
    """One column of the contract; `allowed`, `minimum`, `maximum` bind only where not NULL."""

    name: str
    description: str
    data_type: str  # varchar, integer, double, boolean, date, timestamp
    required: bool = False
    optional: bool = False  # the whole column may be missing from an extract
    allowed: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    references: str = ""  # `<source>.<table>.<column>` that owns what the column names


@dataclass(frozen=True)
class Table:
    """One raw table of the contract."""

    source: str
    name: str
    description: str
    key: tuple[str, ...]
    event_time: str  # column, "" where the table has none
    columns: tuple[Column, ...]

    @property
    def path(self) -> str:
        """`<source>/<table>`, where its file lies in a raw folder, without the suffix."""
        return f"{self.source}/{self.name}"

    def schema(self, *, loaded_at: bool = True) -> pa.Schema:
        """Arrow schema in the contract's column order, with or without the optional columns."""
        return pa.schema(
            [(c.name, _TYPES[c.data_type]) for c in self.columns if loaded_at or not c.optional]
        )


@cache
def contract() -> tuple[Table, ...]:
    """Every raw table, read from the sources' YAML, in the order of files and tables there."""
    return tuple(
        _table(source["name"], table)
        for file in sorted((PROJECT / "models" / "staging").glob("*/_*__sources.yml"))
        for source in yaml.safe_load(file.read_text(encoding="utf-8"))["sources"]
        for table in source["tables"]
    )


def _table(source: str, table: Mapping[str, Any]) -> Table:
    meta = table["config"]["meta"]
    return Table(
        source=source,
        name=table["name"],
        description=table["description"].strip(),
        key=tuple(meta["key"]),
        event_time=meta.get("event_time", ""),
        columns=tuple(_column(column) for column in table["columns"]),
    )


def _column(column: Mapping[str, Any]) -> Column:
    meta = column.get("config", {}).get("meta", {})
    return Column(
        name=column["name"],
        description=column["description"].strip(),
        data_type=column["data_type"],
        required=meta.get("required", False),
        optional=meta.get("optional_column", False),
        allowed=tuple(meta.get("allowed", ())),
        minimum=meta.get("min"),
        maximum=meta.get("max"),
        unit=meta.get("unit", ""),
        references=meta.get("references", ""),
    )


def with_tables(document: str) -> str:
    """`docs/raw-contract.md` with what follows its `TABLES_MARK` made anew from the contract."""
    head, mark, _ = document.partition(TABLES_MARK)
    if not mark:
        raise InsighteraError(
            f"docs/raw-contract.md has lost its line {TABLES_MARK!r}: restore it."
        )
    return "\n".join([head + mark, "", *(_table_markdown(table) for table in contract())])


def _table_markdown(table: Table) -> str:
    head = [
        f"### {table.source}.{table.name}",
        "",
        table.description,
        "",
        f"Key: {', '.join(f'`{name}`' for name in table.key)}. "
        + (f"Event time: `{table.event_time}`." if table.event_time else "No event time."),
        "",
        "| column | type | filled | values | unit | meaning |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(_column_markdown(column) for column in table.columns), ""])


def _column_markdown(column: Column) -> str:
    filled = (
        "column optional" if column.optional else "always" if column.required else "may be NULL"
    )
    if column.allowed:
        values = ", ".join(f"`{value}`" for value in column.allowed)
    elif column.minimum is not None:
        values = f"{column.minimum} to {column.maximum}"
    elif column.references:
        values = f"one of `{column.references}`"
    else:
        values = ""
    cells = (f"`{column.name}`", column.data_type, filled, values, column.unit, column.description)
    return f"| {' | '.join(cells)} |"


class RawWriter:
    """Write some of the contract's tables below `out`, batch by batch, in bounded memory.

    A context manager. Rows go to `<source>/.<table>.<format>.partial`; leaving the block without an
    exception renames every file, so that a killed run leaves no half file, and the next run
    of the same command starts afresh. Same batches, same bytes.

    `producer` is the command that writes. A folder that holds anything is refused unless the
    same producer filled it: raw extracts cannot be written again.
    """

    def __init__(
        self,
        out: Path,
        producer: str,
        paths: Iterable[str],
        *,
        file_format: str = "parquet",
        loaded_at: bool = True,
    ) -> None:
        """`paths` are `<source>/<table>` of the contract. Raises InsighteraError."""
        if file_format not in FORMATS:
            raise InsighteraError(
                f"Unknown file format {file_format!r}. Use one of: {', '.join(FORMATS)}."
            )
        tables = {table.path: table for table in contract()}
        self.rows = dict.fromkeys(paths, 0)
        self._schemas = {path: tables[path].schema(loaded_at=loaded_at) for path in self.rows}
        self._out, self._producer, self._format = out, producer, file_format
        self._pending: dict[str, list[pa.Table]] = {path: [] for path in self.rows}
        self._sinks: dict[str, _Sink] = {}

    def __enter__(self) -> "RawWriter":
        _claim(self._out, self._producer)
        try:
            for path, schema in self._schemas.items():
                partial = self._partial(path)
                partial.parent.mkdir(parents=True, exist_ok=True)
                self._sinks[path] = _Sink(partial, schema, self._format)
        except OSError as error:
            self._discard()
            raise _not_writable(self._out, error) from error
        return self

    def write(self, path: str, columns: Mapping[str, Any] | pa.Table | pa.RecordBatch) -> None:
        """Append rows to the table `path`: its columns by name, in any order, castable."""
        schema, batch = self._schemas[path], columns
        if isinstance(batch, pa.RecordBatch):
            batch = pa.Table.from_batches([batch])
        elif not isinstance(batch, pa.Table):
            batch = pa.table(dict(batch))
        batch = batch.select(schema.names).cast(schema)
        self.rows[path] += batch.num_rows
        self._pending[path].append(batch)
        if sum(part.num_rows for part in self._pending[path]) >= ROW_GROUP:
            self._flush(path, final=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()
            if isinstance(error, OSError):
                raise _not_writable(self._out, error) from error
            return
        try:
            for path in self._schemas:
                self._flush(path, final=True)
                self._sinks[path].close()
            for path in self._schemas:
                self._partial(path).replace(self._out / f"{path}.{self._format}")
                for other in set(FORMATS) - {self._format}:
                    # Two files for one table would leave open which of them is the raw data.
                    (self._out / f"{path}.{other}").unlink(missing_ok=True)
        except OSError as problem:
            self._discard()
            raise _not_writable(self._out, problem) from problem

    def _flush(self, path: str, *, final: bool) -> None:
        """Write whole row groups, and at the end the rest: bytes do not depend on batch sizes."""
        pending = pa.concat_tables(self._pending[path]) if self._pending[path] else None
        if pending is None:
            return
        whole = pending.num_rows if final else pending.num_rows // ROW_GROUP * ROW_GROUP
        for start in range(0, whole, ROW_GROUP):
            group = pending.slice(start, min(ROW_GROUP, whole - start))
            self._sinks[path].write(group.combine_chunks())
        rest = pending.slice(whole)
        # A slice keeps its whole batch alive; a copy of the rest lets the batch go.
        self._pending[path] = [rest.take(np.arange(rest.num_rows))] if rest.num_rows else []

    def _partial(self, path: str) -> Path:
        source, table = path.split("/")
        return self._out / source / f".{table}.{self._format}.partial"

    def _discard(self) -> None:
        for path, sink in self._sinks.items():
            with suppress(OSError):
                sink.close()
            with suppress(OSError):
                self._partial(path).unlink(missing_ok=True)


class _Sink:
    """An open file of one table."""

    def __init__(self, file: Path, schema: pa.Schema, file_format: str) -> None:
        self._handle: BinaryIO = file.open("wb")
        self._parquet = None
        if file_format == "parquet":
            self._parquet = pa.parquet.ParquetWriter(self._handle, schema, compression="zstd")
        else:
            self._handle.write((",".join(schema.names) + "\n").encode())

    def write(self, rows: pa.Table) -> None:
        if self._parquet is not None:
            self._parquet.write_table(rows, row_group_size=ROW_GROUP)
        else:
            _write_csv(rows, self._handle)

    def close(self) -> None:
        if self._handle.closed:
            return
        try:
            if self._parquet is not None:
                self._parquet.close()
            self._handle.flush()
            os.fsync(self._handle.fileno())
        finally:
            self._handle.close()


def _write_csv(rows: pa.Table, handle: BinaryIO) -> None:
    """Rows without header; whole seconds without a fraction; quotes only where needed."""
    seconds = pa.schema(
        [
            (field.name, pa.timestamp("s") if pa.types.is_timestamp(field.type) else field.type)
            for field in rows.schema
        ]
    )
    with suppress(pa.ArrowInvalid):  # a fraction of a second stays
        rows = rows.cast(seconds)
    buffer = pa.BufferOutputStream()
    try:
        options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
        pa.csv.write_csv(rows, buffer, options)
    except pa.ArrowInvalid:  # a comma, quote or line break: Arrow then quotes every text
        buffer = pa.BufferOutputStream()
        pa.csv.write_csv(rows, buffer, pa.csv.WriteOptions(include_header=False))
    handle.write(buffer.getvalue())


def _claim(out: Path, producer: str) -> None:
    """Make `out` the folder of `producer`, or say why it cannot be."""
    marker = out / MARKER
    try:
        if out.exists() and not out.is_dir():
            raise InsighteraError(f"{out} is a file. Name a folder for the raw tables.")
        owner = marker.read_text(encoding="utf-8").strip() if marker.exists() else ""
        if owner and owner != producer:
            raise InsighteraError(
                f"{out} holds what `{owner}` wrote. Name another folder for `{producer}`, or empty "
                "this one first."
            )
        if not owner and any(not path.is_dir() for path in out.rglob("*")):
            raise InsighteraError(
                f"{out} is not empty and was not written by `{producer}`, so nothing there was "
                "touched. Name a new or empty folder."
            )
        out.mkdir(parents=True, exist_ok=True)
        marker.write_text(f"{producer}\n", encoding="utf-8")
    except OSError as error:
        raise _not_writable(out, error) from error


def _not_writable(out: Path, error: OSError) -> InsighteraError:
    return InsighteraError(
        f"Cannot write the raw tables below {out}: {error.strerror or error}. Free space there, "
        "change its permissions, or name another folder."
    )


if __name__ == "__main__":
    written = PROJECT / "docs" / "raw-contract.md"
    written.write_text(with_tables(written.read_text(encoding="utf-8")), encoding="utf-8")
