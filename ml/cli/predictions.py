"""`insightera predictions`: read, compare and roll back what was published, of any use case."""

from typing import Annotated, Any

import typer

from ml.cli import screen
from ml.cli.screen import Format
from ml.cli.terminal import FormatOption, OutOption, give, say
from ml.core.errors import InsighteraError

app = typer.Typer(help="Read, compare and roll back predictions.", no_args_is_help=True)
TableOption = Annotated[
    str, typer.Option("--table", help="Prediction table or use case; default: the only one.")
]


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="[TABLE]", help="As --table.", show_default=False)
    ] = "",
    as_of: Annotated[str, typer.Option("--as-of", help="As predicted at this instant, UTC.")] = "",
    snapshot: Annotated[str, typer.Option(help="As in this Iceberg snapshot.")] = "",
    branch: Annotated[str, typer.Option(help="As on this branch, e.g. a refused audit.")] = "",
    out: OutOption = None,
    form: FormatOption = Format.table,
    table: TableOption = "",
) -> None:
    """Each latest prediction: now, at an instant, in a snapshot, or on a branch."""
    from ml.cli.prediction_columns import Layout
    from ml.lake import prediction_tables
    from ml.publishing import predictions as library

    if sum(bool(choice) for choice in (as_of, snapshot, branch)) > 1:
        raise InsighteraError("Give one of --as-of, --snapshot and --branch, not several.")
    if name and table and name != table:
        raise InsighteraError(f"{name!r} and --table {table!r}: name one table, not two.")
    held = prediction_tables.named(name or table)
    layout = Layout.of(held)
    rows = library.show(
        held, as_of=as_of or None, snapshot=snapshot or None, branch=branch or None
    ).sort_by(layout.order)
    own = {*prediction_tables.own_columns(held), *prediction_tables.entity_keys(held)}
    attributes = [column for column in rows.column_names if column not in own]
    give(
        rows,
        f"{held}: {_of(rows, layout)}",
        out,
        form,
        lambda first: layout.shown(first, attributes),
    )


def _of(rows: Any, layout: Any) -> str:
    """How many predictions, of which models, made when: what is the same in each row."""
    versions = sorted(set(rows["model_version"].to_pylist()))
    days = sorted({screen.day(moment) for moment in rows["prediction_timestamp"].to_pylist()})
    if not days:
        return "nothing predicted"
    made = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    said = f"{rows.num_rows:,} predicted as of {made}, by version {', '.join(versions)}"
    level = layout.column("level")
    levels = sorted(set(rows[level].to_pylist()) - {None}) if level else []
    if levels:
        said += f" ({', '.join(screen.percent(each) for each in levels)} intervals)"
    return said


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="Instant (UTC) or snapshot id.")],
    after: Annotated[str, typer.Argument(help="Instant (UTC) or snapshot id.")],
    min_change: Annotated[
        float,
        typer.Option(
            "--min-change",
            help="Leave out what moved by less: of a probability 0.05 is five points, else it is in "
            "the unit of what is predicted, or of the score.",
            min=0,
        ),
    ] = 0.0,
    out: OutOption = None,
    form: FormatOption = Format.table,
    table: TableOption = "",
) -> None:
    """What appeared, vanished or changed between two instants or snapshots, the largest change
    first.
    """
    from ml.cli.prediction_columns import Layout
    from ml.lake import prediction_tables
    from ml.publishing import predictions as library

    held = prediction_tables.named(table)
    rows = library.diff(held, before, after, min_change=min_change)
    changes = rows["change"].to_pylist()
    counts = ", ".join(
        f"{changes.count(change):,} {change}"
        for change in ("changed", "appeared", "vanished")
        if change in changes
    )
    title = f"{held}, {before} to {after}"
    give(rows, f"{title}: {counts}" if counts else title, out, form, Layout.of(held).compared)


@app.command()
def history(
    entity: Annotated[
        str, typer.Argument(metavar="KEY", help="Whom or what it is about; keys with / between.")
    ],
    out: OutOption = None,
    form: FormatOption = Format.table,
    table: TableOption = "",
) -> None:
    """Every prediction ever published for one entity, target by target, oldest first."""
    from ml.cli.prediction_columns import Layout
    from ml.lake import prediction_tables
    from ml.publishing import predictions as library

    held = prediction_tables.named(table)
    rows = library.history(held, entity)
    give(rows, f"{held}: {entity}", out, form, Layout.of(held).followed)


@app.command()
def rollback(
    snapshot: Annotated[
        str, typer.Option(help="Snapshot to go back to; default: the publication before.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    table: TableOption = "",
) -> None:
    """Take `main` back to an earlier publication. Nothing is deleted; it leaves a receipt."""
    from ml import publishing
    from ml.lake import prediction_tables

    held = prediction_tables.named(table)
    if not yes:
        typer.confirm(
            f"Move main of {held} back to {snapshot or 'the publication before'}?", abort=True
        )
    done = publishing.rollback(held, snapshot or None)
    say(f"main of {held} is at snapshot {done}. `make build` brings the dashboards along.")
