"""Where every command speaks: the screen, what went wrong, and the options that several share."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ml.cli import files, screen
from ml.cli.screen import Column, Format, Row

console = Console()
errors = Console(stderr=True)
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write to this .parquet, .csv or .json; - is the screen, as CSV."),
]
FormatOption = Annotated[
    Format, typer.Option("--format", help="For a person, or for a machine: everything.")
]


def progress() -> Progress:
    """A line on standard error that says what is at work and since when."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),  # also while what runs prints elsewhere
        transient=True,
    )


def say(text: str) -> None:
    """A line as it is: neither broken nor coloured."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def given(rows: pa.Table | Sequence[Row], out: Path | None, form: Format) -> bool:
    """Whether the rows went to a file or a machine, so that nothing is left to show a person."""
    if out is not None:
        said = files.save(rows, out, form)
        if said:
            say(said)
    elif form is not Format.table:
        screen.give(rows, form)
    return out is not None or form is not Format.table


def give(
    rows: pa.Table,
    title: str,
    out: Path | None,
    form: Format,
    view: Callable[[Sequence[Row]], list[Column]],
) -> None:
    """An Arrow table to where it is wanted; `view` makes a person's columns of its first rows."""
    if given(rows, out, form):
        return
    if rows.num_rows == 0:
        say(f"{title}: none.")
    else:
        screen.show(console, title, view(rows.slice(0, screen.MOST).to_pylist()), rows.num_rows)
