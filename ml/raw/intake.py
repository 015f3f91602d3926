"""Opens the raw files: refuses what cannot be read as the contract says, before a build starts."""

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from ml.core.errors import InsighteraError
from ml.raw import csv_form
from ml.raw.files import Table

_BESIDE = (".md", ".rst", ".yml", ".yaml", ".pdf", ".html")  # may lie beside tables: no data
_DATA = frozenset(
    {
        ".csv",
        ".parquet",
        ".pq",
        ".tsv",
        ".tab",
        ".xls",
        ".xlsx",
        ".ods",
        ".json",
        ".jsonl",
        ".ndjson",
    }
    | {".arrow", ".feather", ".orc", ".avro", ".dta", ".sav", ".rds", ".db", ".sqlite", ".duckdb"}
    | {".gz", ".zst", ".bz2", ".xz", ".lz4", ".snappy", ".zip", ".tar", ".tgz", ".7z", ".rar"}
)  # what is data wherever it lies


def open_raw(
    connection: duckdb.DuckDBPyConnection, folder: Path, tables: Sequence[Table]
) -> list[str]:
    """Create the view `raw_<source>.<table>` over each file; an absent table is an empty view.

    Returns the tables that have a file, as `<source>/<table>`. Raises InsighteraError as `examine`
    does.
    """
    read = []
    for table, found in table_files(folder, tables):
        select = found.select
        if found.path is not None:
            read.append(table.path)
        connection.execute(f'create schema if not exists "raw_{table.source}"')
        connection.execute(
            f'create or replace view "raw_{table.source}"."{table.name}" as {select}'
        )
    return read


def refuse_vanished(tables: Collection[str]) -> None:
    """Raises InsighteraError for raw tables that an earlier build read and that have no file any more,
    but for those that `$INSIGHTERA_GONE` (names with commas) accepts.
    """
    accepted = {name.strip() for name in os.environ.get("INSIGHTERA_GONE", "").split(",")}
    vanished = sorted(set(tables) - accepted)
    if vanished:
        raise InsighteraError(
            f"An earlier build of this home read {', '.join(vanished)}, and the raw folder holds no file of "
            "it now: what was built on it would empty without a word. Put the file back; or, where the "
            f"table is given up, say so once: INSIGHTERA_GONE={','.join(vanished)}"
        )


def examine(folder: Path, tables: Sequence[Table]) -> list[tuple[Table, str]]:
    """Each table of the contract with the SQL that reads its file in `folder`.

    Raises InsighteraError that lists everything wrong in the folder at once: an unknown table,
    two files for one table, a missing column, an empty file, an encoding other than UTF-8.
    """
    return [(table, found.select) for table, found in table_files(folder, tables)]


@dataclass(frozen=True)
class Found:
    """A raw table's file (None: the university lacks it), the SQL by which DuckDB reads it, and where in
    the file each column of the contract stands.
    """

    path: Path | None
    select: str
    places: Mapping[str, int] = field(default_factory=dict)


def table_files(folder: Path, tables: Sequence[Table]) -> list[tuple[Table, Found]]:
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
    """What lies in the folder and would not be read: each file, once for a whole folder of files."""
    known = {f"{table.path}{suffix}" for table in tables for suffix in (".parquet", ".csv")}
    sources = {table.source for table in tables}
    problems: list[str] = []

    def unreadable(error: OSError) -> None:
        problems.append(f"{error.filename}: cannot be looked into ({error.strerror})")

    read = False
    for place, folders, names in os.walk(folder, onerror=unreadable):
        within = Path(place).relative_to(folder)
        folders[:] = sorted(
            name for name in folders if name[0] != "." and f"{within / name}" not in known
        )
        source = within.parts[0] if within.parts else ""
        strangers = []
        for name in sorted(names):
            path = within / name
            read = read or str(path) in known
            if name[0] != "." and str(path) not in known and _is_data(path, sources):
                strangers.append(path)
        if strangers and len(within.parts) > 1:
            problems.append(
                f"{within}/: a folder with {len(strangers)} file(s), as {strangers[0].name}. A table "
                f"is one file, {source}/<table>.parquet or .csv: write it so, or move the folder away"
            )
        else:
            problems += [_stranger(path, known) for path in strangers]
    if not read and not problems and not any((folder / name).is_dir() for name in known):
        problems.append(
            "no <source>/<table>.parquet or .csv in it at all; expected some of "
            f"{', '.join(sorted(table.path for table in tables))}"
        )
    return problems


def _is_data(path: Path, sources: set[str]) -> bool:
    """Whether a file of another name than a table's looks as if somebody expects it to be read."""
    ends = {end.lower() for end in path.suffixes}
    in_source = len(path.parts) > 1 and path.parts[0].strip().lower() in sources
    named = path.name.upper().startswith(("README", "LICENSE", "LICENCE", "_SUCCESS"))
    if in_source:
        return not named and path.suffix.lower() not in _BESIDE
    return bool(ends & _DATA)


def _stranger(path: Path, known: set[str]) -> str:
    wanted = str(path).strip().lower()
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.7)
    beside = [name for name in sorted(known) if wanted.startswith(name)]
    if beside:
        hint = f" Unpack or rename it to {beside[0]}."
    elif close:
        hint = f" Did you mean {close[0].rpartition('.')[0]}?"
    else:
        hint = " Move away what is not to be read."
    return f"{path}: no such table in the contract.{hint}"


def _found(folder: Path, table: Table) -> Found:
    """The table's file, and SQL that reads it: every column of the contract, in order, uncast."""
    files = [folder / table.source / f"{table.name}{suffix}" for suffix in (".parquet", ".csv")]
    present = [path for path in files if os.path.lexists(path)]
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
        what = "a folder (Spark writes those)" if path.is_dir() else "no file (a link to nowhere?)"
        raise InsighteraError(f"{label} is {what}. Put a single file there")
    if path.stat().st_size == 0:
        raise InsighteraError(
            f"{label}: the file is empty (0 bytes). A table without rows is a file with a header "
            "only; a table you do not have is no file"
        )
    try:
        header, scan = _parquet(path, label) if path.suffix == ".parquet" else _csv(path, label)
    except OSError as error:
        raise InsighteraError(f"{label}: cannot be read ({error.strerror or error})") from error
    places = _places(header, table, label)
    columns = ", ".join(
        f'{_quoted(scan.names[places[column.name]])} as "{column.name}"'
        if column.name in places
        else f'cast(null as {column.data_type}) as "{column.name}"'
        for column in table.columns
    )
    return Found(path, f"select {columns} from {scan.sql}", places)  # noqa: S608  (names quoted)


def _places(header: Sequence[str], table: Table, label: str) -> dict[str, int]:
    """Where in the header each column of the contract stands, in any case; others may be there, named or not."""
    folded = [name.strip().lower() for name in header]
    twice = [c.name for c in table.columns if folded.count(c.name) > 1]
    if twice:
        raise InsighteraError(
            f"{label}: column {', '.join(twice)} stands twice in the header: {', '.join(header)}"
        )
    missing = [c.name for c in table.columns if c.name not in folded and not c.optional]
    if missing:
        hint = next(
            (
                f" (the file seems to be separated by {words}: write it with ',')"
                for mark, words in ((";", "';'"), ("\t", "tabs"), ("|", "'|'"))
                if len(header) == 1 and mark in header[0]
            ),
            "",
        )
        raise InsighteraError(
            f"{label}: column {', '.join(missing)} missing; found {', '.join(header)}{hint}"
        )
    return {c.name: folded.index(c.name) for c in table.columns if c.name in folded}


@dataclass(frozen=True)
class _Scan:
    """SQL that reads a file in DuckDB, and what its columns are then called, in their order."""

    sql: str
    names: Sequence[str]


def _parquet(path: Path, label: str) -> tuple[list[str], _Scan]:
    try:
        header = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise InsighteraError(f"{label}: not a readable Parquet file ({error})") from error
    return header, _Scan(f"read_parquet({_literal(_no_pattern(path))})", header)


def _csv(path: Path, label: str) -> tuple[list[str], _Scan]:
    header = csv_form.header(path, label)
    # Columns by their place: a name may be missing, doubled, or anything else.
    names = [f"column_{place}" for place in range(len(header))]
    columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
    scan = (
        f"read_csv({_literal(_no_pattern(path))}, auto_detect=false, header=true, delim=',', "
        f"quote='\"', escape='\"', columns={{{columns}}})"
    )
    return header, _Scan(scan, names)


def _no_pattern(path: Path) -> str:
    """The path for DuckDB, which would take `*`, `?` and `[` in it for a pattern over many files."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
