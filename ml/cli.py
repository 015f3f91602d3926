"""The command `insightera`. Each command is a few lines over a module that knows its business."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ml import settings
from ml.errors import InsighteraError

app = typer.Typer(
    name="insightera",
    help="Machine learning inside the warehouse: demo data, imports, replays, predictions, models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
imports = typer.Typer(help="Turn a public dataset into raw extracts.", no_args_is_help=True)
features = typer.Typer(help="Look at features.", no_args_is_help=True)
predictions = typer.Typer(help="Read, compare and roll back predictions.", no_args_is_help=True)
models = typer.Typer(help="List and promote model versions.", no_args_is_help=True)
dashboards = typer.Typer(help="Serve and check the dashboards.", no_args_is_help=True)
app.add_typer(imports, name="import")
app.add_typer(features, name="features")
app.add_typer(predictions, name="predictions")
app.add_typer(models, name="models")
app.add_typer(dashboards, name="dashboards")

console = Console()
errors = Console(stderr=True)
DEFAULT_TABLE = "student_dropout_risk"
# For machines: on a screen they would push out what a person looks for.
LONG_COLUMNS = frozenset(
    {
        "dropout_probability",
        "feature_hash",
        "feature_timestamp",
        "inference_type",
        "model_name",
        "prediction_date",
        "predicted_dropout",
        "run_id",
    }
)
TableOption = Annotated[str, typer.Option("--table", help="Prediction table in the lake.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write to this .parquet or .csv instead of the screen.")
]


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


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),  # also while what runs prints elsewhere
        transient=True,
    )


def _show(rows: Any, title: str, most: int = 20) -> None:
    """Print an Arrow table: the first rows, the columns a person reads, and what is left out."""
    if rows.num_rows == 0:
        console.print(f"{title}: none.")
        return
    shown = [name for name in rows.column_names if name not in LONG_COLUMNS]
    table = Table(title=title)
    for name in shown:
        table.add_column(name, overflow="fold")
    for row in rows.slice(0, most).to_pylist():
        table.add_row(*(_cell(name, row[name]) for name in shown))
    console.print(table)
    if rows.num_rows > most or len(shown) < rows.num_columns:
        console.print(
            f"{min(most, rows.num_rows)} of {rows.num_rows:,} rows, {len(shown)} of "
            f"{rows.num_columns} columns. `--out FILE.parquet|csv` writes them all."
        )


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "contributing_factors":
        factors = json.loads(value)
        return ", ".join(f"{f['feature']} {f['contribution']:+.2f}" for f in factors[:3])
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _give(rows: Any, title: str, out: Path | None) -> None:
    from ml import predictions as library

    if out is None:
        _show(rows, title)
    else:
        console.print(f"{rows.num_rows:,} rows written to {library.write(rows, out)}")


@app.command()
def generate(
    students: Annotated[int, typer.Option(help="How many students.", min=1)],
    out: Annotated[Path, typer.Option(help="Folder for <source>/<table> files.")],
    seed: Annotated[int, typer.Option(help="Same seed and number, same bytes.")] = 7,
    file_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
) -> None:
    """Write the raw extracts of an invented university, in bounded memory."""
    from ml.generate import generate as write

    with _progress() as progress:
        task = progress.add_task(f"0 of {students:,} students")
        counts = write(
            students,
            seed,
            out,
            file_format=file_format,
            progress=lambda done: progress.update(
                task, description=f"{done:,} of {students:,} students"
            ),
        )
    for name, rows in counts.items():
        console.print(f"  {name:<32} {rows:>12,} rows")
    console.print(f"Build it with: INSIGHTERA_RAW={out} make build")


@imports.command()
def oulad(
    source: Annotated[Path, typer.Argument(help="Folder with the seven OULAD tables.")],
    out: Annotated[Path, typer.Option(help="Folder for <source>/<table> files.")],
) -> None:
    """Open University Learning Analytics Dataset: one enrolment is one mahasiswa."""
    from ml.importers.oulad import import_oulad

    with _progress() as progress:
        progress.add_task(f"Importing {source}")
        counts = import_oulad(source, out)
    for name, rows in counts.items():
        console.print(f"  {name:<32} {rows:>12,} rows")
    console.print(f"Build it with: INSIGHTERA_RAW={out} make build")


@app.command()
def replay(
    first: Annotated[str, typer.Option("--from", help="First `as_of`, e.g. 2014-02-01 (UTC).")],
    last: Annotated[str, typer.Option("--to", help="No step goes beyond it.")],
    every: Annotated[str, typer.Option(help="Step: days or weeks, e.g. 1d or 4w.")] = "1w",
    select: Annotated[str, typer.Option(help="dbt selection; default: everything.")] = "",
) -> None:
    """Walk the whole pipeline through history: one `dbt build` per step, each as of its instant.

    Unit tests, which try the code and not the data, run in the first step only.
    """
    from ml.replay import replay_step, steps

    instants = steps(first, last, every)
    for number, instant in enumerate(instants, start=1):
        label = f"[{number}/{len(instants)}] as of {instant:%Y-%m-%d %H:%M}"
        began = time.monotonic()
        with _progress() as progress:
            progress.add_task(label)
            summary = replay_step(instant, select, again=number > 1)
        took = f"{time.monotonic() - began:.0f} s"
        console.print(f"{label}: {summary} ({took})", highlight=False, markup=False, soft_wrap=True)


@features.command("get")
def features_get(
    nim: Annotated[str, typer.Argument(help="Student number.")],
    as_of: Annotated[str, typer.Option("--as-of", help="Instant, UTC; default: now.")] = "",
) -> None:
    """Every feature of one student as valid at an instant, with when it could be known."""
    from ml.feature_store import lookup

    for name, rows in lookup(nim, as_of).items():
        if rows.num_rows == 0:
            console.print(f"[bold]{name}[/]: nothing known then.")
            continue
        table = Table(title=name, show_header=False)
        for column, value in rows.to_pylist()[0].items():
            table.add_row(column, "" if value is None else str(value))
        console.print(table)


@predictions.command("show")
def predictions_show(
    as_of: Annotated[str, typer.Option("--as-of", help="As predicted at this instant, UTC.")] = "",
    snapshot: Annotated[str, typer.Option(help="As in this Iceberg snapshot.")] = "",
    branch: Annotated[str, typer.Option(help="As on this branch, e.g. a refused audit.")] = "",
    out: OutOption = None,
    table: TableOption = DEFAULT_TABLE,
) -> None:
    """Each entity's latest prediction: now, at an instant, in a snapshot, or on a branch."""
    from ml import predictions as library

    if sum(bool(choice) for choice in (as_of, snapshot, branch)) > 1:
        raise InsighteraError("Give one of --as-of, --snapshot and --branch, not several.")
    rows = library.show(
        table, as_of=as_of or None, snapshot=snapshot or None, branch=branch or None
    )
    if out is None and "risk_score" in rows.column_names:
        rows = rows.sort_by([("risk_score", "descending")])
    _give(rows, table, out)


@predictions.command("diff")
def predictions_diff(
    before: Annotated[str, typer.Argument(help="Instant (UTC) or snapshot id.")],
    after: Annotated[str, typer.Argument(help="Instant (UTC) or snapshot id.")],
    out: OutOption = None,
    table: TableOption = DEFAULT_TABLE,
) -> None:
    """Who appeared, vanished or changed between two instants or snapshots."""
    from ml import predictions as library

    _give(library.diff(table, before, after), f"{table}: {before} to {after}", out)


@predictions.command("history")
def predictions_history(
    entity: Annotated[str, typer.Argument(metavar="NIM", help="Student number.")],
    out: OutOption = None,
    table: TableOption = DEFAULT_TABLE,
) -> None:
    """Every prediction ever published for one entity."""
    from ml import predictions as library

    _give(library.history(table, entity), f"{table}: {entity}", out)


@predictions.command("rollback")
def predictions_rollback(
    snapshot: Annotated[
        str, typer.Option(help="Snapshot to go back to; default: the publication before.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    table: TableOption = DEFAULT_TABLE,
) -> None:
    """Take `main` back to an earlier publication. Nothing is deleted; it leaves a receipt."""
    from ml import predictions as library

    if not yes:
        typer.confirm(
            f"Move main of {table} back to {snapshot or 'the publication before'}?", abort=True
        )
    done = library.rollback(table, snapshot or None)
    console.print(
        f"main of {table} is at snapshot {done}. `make build` brings the dashboards along."
    )


@models.command("list")
def models_list(
    name: Annotated[str, typer.Argument(help="Use case; default: all.")] = "",
) -> None:
    """Registered versions, with alias, measures and what they were trained on."""
    from ml import registry

    versions = registry.list_versions(name or None)
    if not versions:
        console.print("No version registered yet: `make build` trains the first.")
        return
    table = Table(title="Model versions")
    for column in ("model", "version", "alias", "as of", "roc_auc", "pr_auc", "brier", "features"):
        table.add_column(column)
    for version in versions:
        table.add_row(
            version.name,
            version.version,
            ", ".join(version.aliases),
            version.tags.get("as_of", ""),
            *(
                f"{version.metrics[m]:.4f}" if m in version.metrics else ""
                for m in ("roc_auc", "pr_auc", "brier")
            ),
            str(len(json.loads(version.tags.get("features", "[]")))),
        )
    console.print(table)


@models.command("promote")
def models_promote(
    name: Annotated[str, typer.Argument(help="Use case, e.g. student_dropout.")],
    version: Annotated[str, typer.Argument(help="Version to make champion.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")],
) -> None:
    """Make a version champion by hand. The next build scores everyone with it."""
    from ml import registry

    registry.promote(name, version, reason)
    console.print(f"{name} version {version} is champion. The next build rescores everyone.")


@dashboards.command("serve")
def dashboards_serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8088,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    threads: Annotated[int, typer.Option(help="Charts that a process answers at a time.")] = 8,
) -> None:
    """Bring Superset and the dashboards up to date, serve them, and print address and login."""
    from ml.dashboard_server import prepare

    start = prepare(host, port, workers=workers, threads=threads)
    console.print("Starting Superset …")
    sys.stdout.flush()
    os.execve(start.command[0], start.command, dict(start.environment))  # noqa: S606


@dashboards.command("check")
def dashboards_check(
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the YAML; default superset/.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="dbt's manifest.json; default: the project, parsed anew.")
    ] = None,
) -> None:
    """Check that charts, datasets, reports and exposures agree, down to the columns."""
    from ml.dashboards import check

    files, problems = check(folder, manifest)
    for problem in problems:
        errors.print(problem, highlight=False, markup=False, soft_wrap=True)
    if problems:
        raise InsighteraError(f"{len(problems)} problems in {files} files of the dashboards.")
    console.print(f"{files} files of the dashboards agree with the project.")


@app.command("docs")
def docs(
    out: Annotated[Path, typer.Option(help="Folder of the site; replaced.")] = Path(
        "target/docs-site"
    ),
    dbt_target: Annotated[Path, typer.Option(help="dbt's target folder.")] = Path("target"),
) -> None:
    """Write the static documentation site: lineage, glossary, a model card per use case."""
    from ml import docs_site

    pages = docs_site.write(docs_site.use_cases(), dbt_target, out)
    console.print(f"{len(pages)} pages. Open {(out / 'index.html').resolve()}", soft_wrap=True)


@app.command()
def where(
    target: Annotated[str, typer.Option(help="dbt's target that was built: duckdb or spark.")] = (
        "duckdb"
    ),
) -> None:
    """Say what the last build made, and where to look next."""
    from ml.replay import summary, summary_of_lake

    made = summary_of_lake() if target == "spark" else summary()
    console.print(f"\nBuilt in {settings.home()}: {made}.", highlight=False)
    console.print(
        "Look next:\n"
        "  insightera predictions show             who is at risk, and why\n"
        "  insightera models list                  the versions behind it\n"
        "  insightera features get NIM             what was known of a student\n"
        f"  {settings.serving()}   what dashboards read\n"
        "  make dashboards                         the dashboards, on http://127.0.0.1:8088\n"
        "  make docs                               every model, column and test, with lineage\n"
        "(the commands live in .venv/bin; README.md goes on from here)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@app.command()
def doctor() -> None:
    """Say what is missing on this machine, and how to get it."""
    from ml.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "[green]ok[/]     " if finding.ok else "[red]missing[/]"
        console.print(f"{mark} {finding.what}: {finding.found}", highlight=False)
        if not finding.ok:
            console.print(f"        {finding.remedy}", highlight=False)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
