"""The command `insightera`: its groups, each a module, and what becomes of a mistake."""

import sys
from importlib.metadata import version as installed
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from typer.core import TyperOption

from ml.cli import (
    anomalies,
    builds,
    dashboards,
    features,
    imports,
    models,
    predictions,
    use_cases,
)
from ml.cli.terminal import console, errors
from ml.core.errors import InsighteraError

app = typer.Typer(
    name="insightera",
    help="Machine learning inside the warehouse: demo data, imports, replays, predictions, models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    imports.generate,
    builds.replay,
    builds.catch_up,
    builds.docs,
    builds.where,
    builds.doctor,
):
    app.command()(command)
app.add_typer(imports.app, name="import")
app.add_typer(features.app, name="features")
app.add_typer(predictions.app, name="predictions")
app.add_typer(models.app, name="models")
app.add_typer(anomalies.app, name="anomalies")
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(use_cases.app, name="use-cases", no_args_is_help=True)
app.add_typer(use_cases.new, name="new")


def _display_type(option: TyperOption, ctx: Any) -> str | None:
    """What help says of an option's value: nothing where it takes none (Typer says `<bool>`)."""
    return None if option.is_flag else option.display_type(ctx)


TyperOption.display_type_rich = _display_type  # type: ignore[method-assign, assignment]


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"insightera {installed('insightera')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which this is."),
    ] = False,
) -> None:
    """Machine learning inside the warehouse: demo data, imports, replays, predictions, models."""


def main() -> None:
    """Entry point: a person's mistake is one message and exit code 2, never a traceback."""
    try:
        app()
    except InsighteraError as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(
            f"{error.filename}: {error.strerror}. Change its permissions, free space there, or name "
            "another place (INSIGHTERA_HOME for the state, --out for a file)."
        )


def _refuse(message: str) -> NoReturn:
    errors.print(f"[bold red]Error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(2)
