"""The seven files of OULAD as typed tables of DuckDB; every fault of a file named, no row lost.

`docs/oulad.md` says what is refused. Each file is read in one pass; only where a value cannot be
read is it read again, to say where the first one stands.
"""

import csv
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ml.core.errors import InsighteraError

# The official seven files and the columns read from them, each with how it is read.
# A `day` is counted from the start of a presentation; a `count` is no less than 0.
_PRESENTATION = {"code_module": "varchar", "code_presentation": "varchar"}
_STUDENT = {**_PRESENTATION, "id_student": "integer"}
FILES: Mapping[str, Mapping[str, str]] = {
    "courses": {**_PRESENTATION, "module_presentation_length": "day"},
    "assessments": {
        **_PRESENTATION,
        "id_assessment": "integer",
        "assessment_type": "varchar",
        "date": "day",
        "weight": "double",
    },
    "vle": {**_PRESENTATION, "id_site": "integer"},
    "studentInfo": {
        **_STUDENT,
        "gender": "varchar",
        "region": "varchar",
        "highest_education": "varchar",
        "imd_band": "varchar",
        "age_band": "varchar",
        "num_of_prev_attempts": "integer",
        "studied_credits": "integer",
        "disability": "varchar",
        "final_result": "varchar",
    },
    "studentRegistration": {
        **_STUDENT,
        "date_registration": "day",
        "date_unregistration": "day",
    },
    "studentAssessment": {
        "id_assessment": "integer",
        "id_student": "integer",
        "date_submitted": "day",
        "is_banked": "integer",
        "score": "double",
    },
    "studentVle": {**_STUDENT, "date": "day", "sum_click": "count"},
}
# What a row cannot be placed without. Clicks are summed per day: a row without its day or its clicks would be lost there.
_ENROLMENT = tuple(_STUDENT)
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "courses": (*_PRESENTATION, "module_presentation_length"),
    "assessments": (*_PRESENTATION, "id_assessment"),
    "vle": (*_PRESENTATION, "id_site"),
    "studentInfo": _ENROLMENT,
    "studentRegistration": _ENROLMENT,
    "studentAssessment": ("id_assessment", "id_student"),
    "studentVle": (*_ENROLMENT, "date", "sum_click"),
}
FURTHEST_DAY = 10_000  # from a presentation's start, 27 years: beyond it a number is no day

# What may stand around a value and is none of it: blanks, tabs, line ends, no-break space, byte order mark.
_AROUND = "chr(32) || chr(9) || chr(10) || chr(13) || chr(160) || chr(65279)"
# A file whose name begins like a table's and ends so might hold its rows.
_HOLDS_ROWS = frozenset(
    {".bz2", ".csv", ".gz", ".parquet", ".tsv", ".txt", ".xlsx", ".xz", ".zip", ".zst"}
)
_EXAMPLE = 120  # characters of a line that are shown


def load(connection: duckdb.DuckDBPyConnection, source: Path) -> list[str]:
    """Load each file of the folder as a typed table; a sentence for everything wrong with them."""
    problems = []
    for name, columns in FILES.items():
        try:
            problems += _open_file(connection, _file(source, name), name, columns)
        except InsighteraError as error:
            problems.append(str(error))
        except (duckdb.Error, OSError, UnicodeError, csv.Error) as error:
            problems.append(f"{name}: cannot be read ({first_lines(error)})")
    return problems


def _open_file(
    connection: duckdb.DuckDBPyConnection, file: Path, name: str, columns: Mapping[str, str]
) -> list[str]:
    """Load the file as the table `name`, in one pass; return what is wrong with its values."""
    scan, header = _scan(file)
    found: dict[str, tuple[str, str]] = {}
    described = connection.execute(f"describe from {scan}").fetchall()
    for written, (column, kind, *_) in zip(
        header or [column for column, *_ in described], described, strict=True
    ):
        if written.lower() in found and written.lower() in columns:
            raise InsighteraError(f"{name}: column {written} stands there more than once")
        found[written.lower()] = (str(column), str(kind))
    missing = [column for column in columns if column not in found]
    if missing:
        raise InsighteraError(
            f"{name}: column {', '.join(missing)} missing; found "
            f"{', '.join(header or [column for column, _ in found.values()])}"
        )
    read = {
        column: _Reading.of(*found[column], kind, required=column in REQUIRED[name])
        for column, kind in columns.items()
    }
    selected = ", ".join(f'{reading.value} as "{column}"' for column, reading in read.items())
    wrong = " or ".join(reading.is_wrong for reading in read.values() if reading.is_wrong)
    connection.execute(
        f"create table {name} as select {selected}, {wrong} as is_wrong from {scan}"  # noqa: S608
    )
    rows, bad = connection.execute(
        f"select count(*), count(*) filter (is_wrong) from {name}"  # noqa: S608
    ).fetchall()[0]
    if rows == 0:
        return [f"{name}: the file holds no rows"]
    return _wrong_values(connection, file, name, read) if bad else []


@dataclass(frozen=True)
class _Reading:
    """How one column is read: SQL over the file's own columns."""

    clean: str  # what stands there; NULL for what means missing: `?`, blanks, NaN in floats
    value: str  # `clean` as the type; NULL where it is none; never rounded
    kind: str
    required: bool

    @classmethod
    def of(cls, column: str, held: str, kind: str, *, required: bool) -> "_Reading":
        """`column` of the type `held`, to be read as `kind` (of FILES)."""
        name = '"' + column.replace('"', '""') + '"'
        if held in ("DOUBLE", "FLOAT"):
            clean = f"if(isnan({name}), null, {name})"
        elif "INT" in held:
            clean = name
        else:
            text = f"decode({name})" if held == "BLOB" else f"cast({name} as varchar)"
            clean = f"nullif(nullif(trim({text}, {_AROUND}), '?'), '')"
        return cls(clean, _typed(clean, kind), kind, required)

    @property
    def is_wrong(self) -> str:
        """Whether the row cannot be read for this column; empty where it always can."""
        if self.required:
            return f"({self.value} is null)"
        return (
            "" if self.kind == "varchar" else f"({self.value} is null and {self.clean} is not null)"
        )

    def problem(self, column: str, example: str | None) -> str:
        """What is wrong with it, in words; `example`: what stands there, None for missing."""
        if example is None:
            return f"{column} is missing"
        kind = {
            "day": f"whole number of days up to {FURTHEST_DAY:,}",
            "count": "whole number from 0",
        }.get(self.kind, self.kind if self.kind == "integer" else "number")
        return f"{column} holds '{example}', which is no {kind},"


def _typed(value: str, kind: str) -> str:
    """`value` as `kind`, NULL where it is none; never rounded, and no more than plain digits."""
    if kind == "varchar":
        return f"cast({value} as varchar)"
    text = f"cast({value} as varchar)"
    if kind == "double":
        plain = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
        return f"if(regexp_full_match({text}, '{plain}'), try_cast({value} as double), null)"
    # DuckDB would also take 1_0, 0x1F, 1e3 and, rounded, 3.5; most values are digits and no more.
    number = (
        f"case when cast(try_cast({value} as integer) as varchar) = {text} "
        f"then try_cast({value} as integer) "
        f"when regexp_full_match({text}, '[+-]?[0-9]+(\\.0*)?') "
        f"then try_cast(try_cast({value} as double) as integer) end"
    )
    if kind == "integer":
        return number
    low = 0 if kind == "count" else -FURTHEST_DAY
    high = 2**31 - 1 if kind == "count" else FURTHEST_DAY
    return f"if({number} between {low} and {high}, {number}, null)"


def _wrong_values(
    connection: duckdb.DuckDBPyConnection, file: Path, name: str, read: Mapping[str, _Reading]
) -> list[str]:
    """A sentence per column that cannot be read, and how: how many rows, and the first of them."""
    scan, _ = _scan(file)
    problems = []
    for column, reading in read.items():
        if not reading.is_wrong:
            continue
        found = connection.execute(
            f"""
            select
                min(number),
                arg_min(clean, number),
                count(*),
                (select count(*) from {name})
            from (
                select
                    row_number() over () as number,
                    cast({reading.clean} as varchar) as clean,
                    {reading.is_wrong} as is_wrong
                from {scan}
            )
            where is_wrong
            group by clean is null
            order by clean is null
            """  # noqa: S608
        ).fetchall()
        problems += [
            f"{file.name}: {reading.problem(column, example)} in {count:,} of {rows:,} rows, "
            f"first in {_place(file, number)}"
            for number, example, count, rows in found
        ]
    return problems


def _place(file: Path, number: int) -> str:
    """Where the row `number` (from 1) stands, and for CSV what stands there."""
    if file.suffix.lower() == ".parquet":
        return f"row {number:,}"
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines)
        rows = (row for row in reader if row)
        row = next(itertools.islice(rows, number, None))  # row 0 is the header
        text = ",".join(row)
        shown = text if len(text) <= _EXAMPLE else text[:_EXAMPLE] + "…"
        return f"line {reader.line_num:,}: {shown}"


def _file(source: Path, name: str) -> Path:
    """The one file of a table. Raises InsighteraError where there is none, or more than one."""
    ours = {f"{name}.csv".lower(), f"{name}.parquet".lower()}
    like = sorted(
        path
        for path in source.iterdir()
        if path.name.lower().startswith(name.lower()) and path.suffix.lower() in _HOLDS_ROWS
    )
    present = [path for path in like if path.name.lower() in ours]
    others = ", ".join(path.name for path in like if path not in present)
    if not present:
        raise InsighteraError(
            f"{name}: neither {name}.csv nor {name}.parquet exists"
            + (f"; {others} is not read: unpack it or join its parts" if others else "")
        )
    if len(present) > 1:
        both = " and ".join(path.name for path in present)
        raise InsighteraError(f"{name}: both {both} exist; keep one")
    if others:
        raise InsighteraError(
            f"{name}: {present[0].name} is read and {others} beside it is not; join them or move "
            "what does not belong here"
        )
    file = present[0]
    if file.is_dir():
        raise InsighteraError(f"{name}: {file.name} is a folder, not a file")
    if not file.is_file():
        raise InsighteraError(f"{name}: {file.name} is no file, or a link to nothing")
    if file.stat().st_size == 0:
        raise InsighteraError(f"{name}: {file.name} is empty (0 bytes)")
    with file.open("rb") as opened:
        start = opened.read(4)
    if start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zX")):
        raise InsighteraError(f"{name}: {file.name} is compressed; unpack it")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InsighteraError(f"{name}: {file.name} is UTF-16; save it as UTF-8")
    return file


def _scan(file: Path) -> tuple[str, list[str]]:
    """SQL that reads the file, and the header of a CSV, whose columns are all read as text under
    the names c0, c1, …; so they may be called anything."""
    # In DuckDB's paths `*`, `?` and `[` are patterns; in brackets they mean themselves.
    path = re.sub(r"([*?\[])", r"[\1]", str(file)).replace("'", "''")
    if file.suffix.lower() == ".parquet":
        return f"read_parquet('{path}')", []
    with file.open(encoding="utf-8-sig", newline="") as lines:
        header = [column.strip() for column in next((row for row in csv.reader(lines) if row), [])]
    columns = ", ".join(f"'c{number}': 'varchar'" for number in range(len(header)))
    return (
        f"read_csv('{path}', auto_detect = false, header = true, delim = ',', quote = '\"', "
        f"escape = '\"', columns = {{{columns}}})"
    ), header


def first_lines(error: Exception) -> str:
    """What an error says, without the advice that DuckDB adds below it."""
    lines = (str(error) or type(error).__name__).splitlines()
    said = itertools.takewhile(lambda line: not line.startswith("Possible"), lines[:6])
    return "; ".join(line.strip() for line in said if line.strip())[: 3 * _EXAMPLE]
