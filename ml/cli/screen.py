"""What the command line gives: rows for a person on a screen, or for a machine as JSON or CSV.

A person's table never breaks a word: columns of lesser interest go until the others fit the screen.
"""

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any

import pyarrow as pa
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml.core import settings, words

Row = Mapping[str, Any]
MOST = 20  # rows on a screen; a machine gets all
LEAST_TEXT = 20  # characters that a text is cut to before a column goes


class Format(str, Enum):
    """How rows go to standard output."""

    table = "table"
    json = "json"
    csv = "csv"


@dataclass(frozen=True)
class Column:
    """One column of a person's table. `rank`: the highest goes first where the screen is narrow;
    0 stays. `is_text`: may be cut, to `least` characters.
    """

    head: str
    cells: Sequence[str]
    rank: int = 0
    is_text: bool = False
    right: bool = False
    least: int = LEAST_TEXT


def show(console: Console, title: str, columns: Sequence[Column], total: int) -> None:
    """Print the columns that fit, and say what is left out."""
    room = console.width
    fitting = list(columns)
    while _width(fitting) > room and any(column.rank for column in fitting):
        fitting.remove(max(fitting, key=lambda column: column.rank))
    if title:
        console.print(Text(title, style="bold"), soft_wrap=True)
    table = Table()
    for column, width in zip(fitting, _widths(fitting, room), strict=True):
        table.add_column(
            column.head,
            no_wrap=True,
            overflow="ellipsis" if column.is_text else "fold",
            justify="right" if column.right else "left",
            width=width,
        )
    shown = min(MOST, total)
    for cells in zip(*(column.cells[:shown] for column in fitting), strict=True):
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    left = [column.head for column in columns if column not in fitting]
    words = [f"{shown} of {total:,} rows"] if shown < total else []
    words += [f"not shown, for want of width: {', '.join(left)}"] if left else []
    if words:
        console.print(
            f"{'; '.join(words)}. `--format csv` or `json` gives all of it.",
            soft_wrap=True,
            highlight=False,
        )


def _longest(column: Column) -> int:
    return max(map(len, [column.head, *column.cells[:MOST]]))


def _least(column: Column) -> int:
    longest = _longest(column)
    return min(longest, max(column.least, len(column.head))) if column.is_text else longest


def _width(columns: Sequence[Column]) -> int:
    """Of a table that cuts what may be cut."""
    return sum(map(_least, columns)) + 3 * len(columns) + 1


def _widths(columns: Sequence[Column], room: int) -> list[int]:
    """Of each column; what room is left goes to the texts, from the left."""
    widths = [_least(column) for column in columns]
    for position, column in enumerate(columns):
        left = room - sum(widths) - 3 * len(columns) - 1
        widths[position] += max(0, min(left, _longest(column) - widths[position]))
    return widths


def give(rows: pa.Table | Sequence[Row], form: Format) -> None:
    """Rows to standard output, for a machine: a JSON array, or CSV with a header."""
    sys.stdout.write(as_json(rows) if form is Format.json else as_csv(rows))


def as_json(rows: pa.Table | Sequence[Row]) -> str:
    """An array of objects; instants and dates as ISO 8601."""
    listed = rows.to_pylist() if isinstance(rows, pa.Table) else rows
    return json.dumps(listed, indent=2, default=_plain, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(rows: pa.Table | Sequence[Row]) -> str:
    """A header and a line per row; what is missing is empty, lists and objects are JSON."""
    out = io.StringIO()
    listed = rows.to_pylist() if isinstance(rows, pa.Table) else rows
    names = rows.column_names if isinstance(rows, pa.Table) else list(rows[0]) if rows else []
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in listed:
        writer.writerow([_flat(row[name]) for name in names])
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    return str(value)


def _flat(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return value


def percent(probability: float | None) -> str:
    """A probability as a person reads it: `85 %`, `0.4 %`."""
    if probability is None:
        return ""
    return f"{100 * probability:.0f} %" if probability >= 0.1 else f"{100 * probability:.1f} %"


def points(difference: float | None) -> str:
    """A difference of probabilities, in points of a hundred with its sign."""
    return "" if difference is None else f"{100 * difference:+.1f}"


def numbers(values: Sequence[float | None], *, signed: bool = False) -> list[str]:
    """Numbers of one kind as a person reads them: all to as many decimals as the largest asks for."""
    most = max((abs(value) for value in values if value is not None), default=0.0)
    decimals = next((n for n, least in enumerate((10, 1, 0.1)) if most >= least), 3)
    sign = "+" if signed else ""
    return [
        "" if value is None else f"{round(value, decimals) + 0.0:{sign},.{decimals}f}"
        for value in values
    ]


def day(instant: datetime | None) -> str:
    """The date of an instant."""
    return "" if instant is None else f"{instant:%Y-%m-%d}"


def reason(contributing_factors: str | None) -> str:
    """What raises a prediction most, in plain words: `Attendance, 90 days: 20 %`."""
    factors = json.loads(contributing_factors or "[]")
    raising = [factor for factor in factors if factor["contribution"] > 0]
    if not raising:
        return "nothing in particular"
    return _said(max(raising, key=lambda factor: factor["contribution"]))


def strongest(contributing_factors: str | None) -> str:
    """What moves a prediction most, up or down, in plain words."""
    factors = json.loads(contributing_factors or "[]")
    moving = [factor for factor in factors if factor["contribution"]]
    if not moving:
        return "nothing in particular"
    return _said(max(moving, key=lambda factor: abs(factor["contribution"])))


def _said(factor: Mapping[str, Any]) -> str:
    label, unit = words_of(factor["feature"])
    return f"{label}: {words.value(factor['value'], unit)}"


def words_of(feature: str) -> tuple[str, str]:
    """A feature's label and unit, from its YAML."""
    return words.label_of(feature, _labels())


@cache
def _labels() -> words.Labels:
    """What `labelled_columns` reads from dbt's graph, from the files."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for path in sorted((settings.PROJECT / "models").rglob("*.yml")):
        if not path.name.startswith(("features_", "label_")):
            continue
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            for column in model["columns"]:
                meta = column.get("config", {}).get("meta", {})
                if "unit" in meta:
                    label = meta.get("label", column["name"].replace("_", " "))
                    said = {"label": label, "unit": meta["unit"]}
                    found.setdefault(model["name"], {})[column["name"]] = said
    return found
