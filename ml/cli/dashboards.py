"""`insightera dashboards`: serve them, and check their files."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.terminal import console, errors
from ml.core.errors import InsighteraError

app = typer.Typer(help="Serve and check the dashboards.", no_args_is_help=True)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8088,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    threads: Annotated[int, typer.Option(help="Charts that a process answers at a time.")] = 8,
) -> None:
    """Bring Superset and the dashboards up to date, serve them, and print address and login."""
    from ml.cli.dashboard_server import prepare

    start = prepare(host, port, workers=workers, threads=threads)
    console.print("Starting Superset …")
    sys.stdout.flush()
    os.execve(start.command[0], start.command, dict(start.environment))  # noqa: S606


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the YAML; default superset/.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="dbt's manifest.json; default: the project, parsed anew.")
    ] = None,
) -> None:
    """Check that charts, datasets, reports and exposures agree, down to the columns."""
    from ml.cli import dashboard_files

    files, problems = dashboard_files.check(folder, manifest)
    for problem in problems:
        errors.print(problem, highlight=False, markup=False, soft_wrap=True)
    if problems:
        raise InsighteraError(f"{len(problems)} problems in {files} files of the dashboards.")
    console.print(f"{files} files of the dashboards agree with the project.")
