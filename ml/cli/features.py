"""`insightera features`: what was known of a student, a study programme, …"""

from typing import Annotated

import typer

from ml.cli import screen
from ml.cli.screen import Column, Format, Row
from ml.cli.terminal import FormatOption, OutOption, console, given
from ml.core import words

app = typer.Typer(help="Look at features.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Look at features."""


@app.command("get")
def get(
    entity: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="Student number, code of a study programme, …; keys with / between."
        ),
    ],
    as_of: Annotated[str, typer.Option("--as-of", help="Instant, UTC; default: now.")] = "",
    out: OutOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Every feature of one entity as valid at an instant, with when it could be known."""
    from ml.features.store import lookup

    found = {name: rows.to_pylist() for name, rows in lookup(entity, as_of).items()}
    cells = [
        {"table": name, "column": column, "value": value}
        for name, rows in found.items()
        for row in rows
        for column, value in row.items()
    ]
    if given(cells, out, form):
        return
    for name, rows in found.items():
        if rows:
            _show(name, entity, rows[0])
        else:
            console.print(f"[bold]{name}[/]: nothing known then.\n")


def _show(name: str, entity: str, row: Row) -> None:
    from ml.features.store import AUDIT, entity_keys

    beside = {*AUDIT, *entity_keys()[name]}
    shown = [column for column in row if column not in beside]
    said = [screen.words_of(column) for column in shown]
    values = [words.value(row[column], unit) for column, (_, unit) in zip(shown, said, strict=True)]
    console.print(
        f"[bold]{name}[/], {entity}: since {screen.day(row['valid_from'])}, newest record of "
        f"{screen.day(row['feature_timestamp']) or 'no day'}",
        highlight=False,
        soft_wrap=True,
    )
    columns = [
        Column("feature", shown),
        Column("value", values),
        Column(
            "what it is",
            [words.with_unit(*both, form="{} ({})") for both in said],
            is_text=True,
        ),
    ]
    screen.show(console, "", columns, len(shown))
