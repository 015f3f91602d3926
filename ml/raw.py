"""Opens the raw files: refuses what cannot be read as the contract says, before a build starts."""

import codecs
import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from ml.errors import InsighteraError
from ml.raw_files import Table

_CHUNK = 1 << 22  # bytes read at a time while checking an encoding


def open_raw(connection: duckdb.DuckDBPyConnection, folder: Path, tables: Sequence[Table]) -> None:
    """Create the view `raw_<source>.<table>` over each file; an absent table is an empty view.

    Raises InsighteraError as `examine` does.
    """
    for table, select in examine(folder, tables):
        connection.execute(f'create schema if not exists "raw_{table.source}"')
        connection.execute(
            f'create or replace view "raw_{table.source}"."{table.name}" as {select}'
        )


def examine(folder: Path, tables: Sequence[Table]) -> list[tuple[Table, str]]:
    """Each table of the contract with the SQL that reads its file in `folder`.

    Raises InsighteraError that lists everything wrong in the folder at once: an unknown table,
    two files for one table, a missing column, an empty file, an encoding other than UTF-8.
    """
    return [(table, found.select) for table, found in files(folder, tables)]


@dataclass(frozen=True)
class Found:
    """A raw table's file (None: the university lacks it), and the SQL by which DuckDB reads it."""

    path: Path | None
    select: str


def files(folder: Path, tables: Sequence[Table]) -> list[tuple[Table, Found]]:
    """Each table of the contract with its file; raises as `examine` does."""
    if not folder.is_dir():
        raise InsighteraError(
            f"INSIGHTERA_RAW={folder} is no folder. Set it to a folder of <source>/<table>.parquet "
            "or .csv (docs/raw-contract.md), or unset it to build the demo university."
        )
    problems = _strangers(folder, tables)
    views = []
    for table in tables:
        try:
            views.append((table, _found(folder, table)))
        except InsighteraError as error:
            problems.append(str(error))
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise InsighteraError(
            f"Raw data in {folder} breaks docs/raw-contract.md:\n{listed}\n"
            "Nothing was built. Mend the files and build again."
        )
    return views


def _strangers(folder: Path, tables: Sequence[Table]) -> list[str]:
    known = {table.path for table in tables}
    sources = {table.source for table in tables}
    found = [p for p in sorted(folder.glob("*/*")) if p.suffix in (".csv", ".parquet")]
    problems = []
    for path in found:
        name = f"{path.parent.name}/{path.stem}"
        if path.parent.name in sources and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            problems.append(f"{path.parent.name}/{path.name}: no such table in the contract.{hint}")
    if not found:
        problems.append(
            "no <source>/<table>.parquet or .csv in it at all; expected some of "
            f"{', '.join(sorted(known))}"
        )
    return problems


def _found(folder: Path, table: Table) -> Found:
    """The table's file, and SQL that reads it: every column of the contract, in order, uncast."""
    files = [folder / table.source / f"{table.name}{suffix}" for suffix in (".parquet", ".csv")]
    present = [path for path in files if path.exists()]
    if len(present) == 2:
        raise InsighteraError(f"{table.path}: both .parquet and .csv exist; keep one")
    if not present:
        nulls = ", ".join(
            f'cast(null as {column.data_type}) as "{column.name}"' for column in table.columns
        )
        return Found(None, f"select {nulls} where false")
    path = present[0]
    label = f"{table.source}/{path.name}"
    if not path.is_file():
        raise InsighteraError(
            f"{label} is a folder (Spark writes those). Name a single file so, or write one, e.g. "
            "with coalesce(1)"
        )
    if path.stat().st_size == 0:
        raise InsighteraError(
            f"{label}: the file is empty (0 bytes). A table without rows is a file with a header "
            "only; a table you do not have is no file"
        )
    header, scan = _parquet(path, label) if path.suffix == ".parquet" else _csv(path, label)
    folded = {name.strip().lower(): name for name in header}
    if len(folded) != len(header):
        raise InsighteraError(f"{label}: a column name stands twice in the header: {header}")
    missing = [
        column.name for column in table.columns if column.name not in folded and not column.optional
    ]
    if missing:
        hint = (
            " (the file seems to be separated by ';': write it with ',')"
            if (len(header) == 1 and ";" in header[0])
            else ""
        )
        raise InsighteraError(
            f"{label}: column {', '.join(missing)} missing; found {', '.join(header)}{hint}"
        )
    columns = ", ".join(
        f'{_quoted(folded[column.name])} as "{column.name}"'
        if column.name in folded
        else f'cast(null as {column.data_type}) as "{column.name}"'
        for column in table.columns
    )
    return Found(path, f"select {columns} from {scan}")  # noqa: S608  (names quoted, path a literal)


def _parquet(path: Path, label: str) -> tuple[list[str], str]:
    try:
        header = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise InsighteraError(f"{label}: not a readable Parquet file ({error})") from error
    return header, f"read_parquet({_literal(_no_pattern(path))})"


def _csv(path: Path, label: str) -> tuple[list[str], str]:
    _check_utf8(path, label)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        header = next(csv.reader(handle), [])
    if not header:
        raise InsighteraError(f"{label}: the first line holds no header")
    columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in header)
    scan = (
        f"read_csv({_literal(_no_pattern(path))}, auto_detect=false, header=true, delim=',', quote='\"', "
        f"escape='\"', columns={{{columns}}})"
    )
    return header, scan


def _check_utf8(path: Path, label: str) -> None:
    """A file in Latin-1 or UTF-16 would garble names silently: it is refused."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with path.open("rb") as handle:
        while True:
            chunk = handle.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)  # at the end no character may be half
            except UnicodeDecodeError as error:
                raise InsighteraError(
                    f"{label}: not UTF-8 (near byte {offset + error.start}). Convert it, e.g. "
                    f"iconv -f latin1 -t utf-8 {path.name} > converted.csv"
                ) from error
            if not chunk:
                return
            offset += len(chunk)


def _no_pattern(path: Path) -> str:
    """The path for DuckDB, which would take `*`, `?` and `[` in it for a pattern over many files."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
