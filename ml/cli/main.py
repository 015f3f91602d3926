"""The command `insightera`. Each command is a few lines over a module that knows its business."""

import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from typer.core import TyperOption

from ml.cli import anomalies, files, screen, use_cases
from ml.cli.screen import Column, Format
from ml.core import settings
from ml.core.errors import InsighteraError

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
app.add_typer(anomalies.app, name="anomalies")
app.add_typer(dashboards, name="dashboards")
app.add_typer(use_cases.app, name="use-cases", no_args_is_help=True)
app.add_typer(use_cases.new, name="new")

console = Console()
errors = Console(stderr=True)
TableOption = Annotated[
    str, typer.Option("--table", help="Prediction table in the lake; default: the only one.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write to this .parquet, .csv or .json; - is the screen, as CSV."),
]
FormatOption = Annotated[
    Format, typer.Option("--format", help="For a person, or for a machine: everything.")
]


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


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),  # also while what runs prints elsewhere
        transient=True,
    )


def _give(
    rows: Any, title: str, out: Path | None, form: Format, view: Callable[[Any], list[Column]]
) -> None:
    """An Arrow table to where it is wanted; `view` makes a person's columns of its first rows."""
    if out is not None:
        said = files.save(rows, out, form)
        if said:
            console.print(said, soft_wrap=True)
    elif form is not Format.table:
        screen.give(rows.to_pylist(), form)
    elif rows.num_rows == 0:
        console.print(f"{title}: none.")
    else:
        screen.show(console, title, view(rows.slice(0, screen.MOST).to_pylist()), rows.num_rows)


@app.command()
def generate(
    students: Annotated[int, typer.Option(help="How many students.", min=1)],
    out: Annotated[Path, typer.Option(help="Folder for <source>/<table> files.")],
    seed: Annotated[int, typer.Option(help="Same seed and number, same bytes.")] = 7,
    file_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    faults: Annotated[
        Path | None, typer.Option(help="File for what is wrong on purpose, outside of --out.")
    ] = None,
) -> None:
    """Write the raw extracts of an invented university, in bounded memory."""
    from ml.raw.demo.generate import generate as write

    with _progress() as progress:
        task = progress.add_task(f"0 of {students:,} students")
        counts = write(
            students,
            seed,
            out,
            file_format=file_format,
            faults=faults,
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
    from ml.raw.importers.oulad import import_oulad

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
    from ml.cli.replay import replay_step, steps

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
    form: FormatOption = Format.table,
) -> None:
    """Every feature of one student as valid at an instant, with when it could be known."""
    from ml.features.store import AUDIT, lookup

    found = {name: rows.to_pylist() for name, rows in lookup(nim, as_of).items()}
    if form is not Format.table:
        screen.give(
            [
                {"table": name, "column": column, "value": value}
                for name, rows in found.items()
                for row in rows
                for column, value in row.items()
            ],
            form,
        )
        return
    for name, rows in found.items():
        if not rows:
            console.print(f"[bold]{name}[/]: nothing known then.\n")
            continue
        row = rows[0]
        shown = [column for column in row if column not in AUDIT and column != "nim"]
        words = [screen.words_of(column) for column in shown]
        console.print(
            f"[bold]{name}[/], {nim}: since {screen.day(row['valid_from'])}, newest record of "
            f"{screen.day(row['feature_timestamp']) or 'no day'}",
            highlight=False,
            soft_wrap=True,
        )
        screen.show(
            console,
            "",
            [
                Column("feature", shown),
                Column(
                    "value",
                    [
                        screen.value_in_words(row[column], unit)
                        for column, (_, unit) in zip(shown, words, strict=True)
                    ],
                ),
                Column("what it is", [_with_unit(*both) for both in words], is_text=True),
            ],
            len(shown),
        )


def _with_unit(label: str, unit: str) -> str:
    return label if unit in ("", "share", "category") else f"{label} ({unit})"


@predictions.command("show")
def predictions_show(
    as_of: Annotated[str, typer.Option("--as-of", help="As predicted at this instant, UTC.")] = "",
    snapshot: Annotated[str, typer.Option(help="As in this Iceberg snapshot.")] = "",
    branch: Annotated[str, typer.Option(help="As on this branch, e.g. a refused audit.")] = "",
    out: OutOption = None,
    form: FormatOption = Format.table,
    table: TableOption = "",
) -> None:
    """Each entity's latest prediction: now, at an instant, in a snapshot, or on a branch."""
    from ml.lake import prediction_tables
    from ml.publishing import predictions as library

    if sum(bool(choice) for choice in (as_of, snapshot, branch)) > 1:
        raise InsighteraError("Give one of --as-of, --snapshot and --branch, not several.")
    table = table or prediction_tables.only()
    rows = library.show(
        table, as_of=as_of or None, snapshot=snapshot or None, branch=branch or None
    )
    if out is None and "risk_score" in rows.column_names:
        rows = rows.sort_by([("risk_score", "descending")])
    keys = prediction_tables.entity_keys(table)
    outcome = prediction_tables.outcome(table)

    def view(first: list[dict[str, Any]]) -> list[Column]:
        own = prediction_tables.own_columns(table)
        attributes = [name for name in rows.column_names if name not in {*own, *keys}]
        return [
            *_texts(first, keys),
            Column(
                outcome, [screen.percent(r[f"{outcome}_probability"]) for r in first], right=True
            ),
            Column("category", [r["risk_category"] for r in first]),
            *_texts(first, attributes, rank=2),
            Column(
                "most of all",
                [screen.reason(r["contributing_factors"]) for r in first],
                rank=1,
                is_text=True,
            ),
        ]

    _give(rows, f"{table}: {_of(rows)}", out, form, view)


def _texts(rows: list[dict[str, Any]], names: Sequence[str], rank: int = 0) -> list[Column]:
    """Columns as they are; of attributes, the last is the first to go."""
    return [
        Column(
            name,
            ["" if row[name] is None else str(row[name]) for row in rows],
            rank=rank and rank + number,
        )
        for number, name in enumerate(names)
    ]


def _of(rows: Any) -> str:
    """How many predictions, of which models, made when: what is the same in each row."""
    versions = sorted(set(rows["model_version"].to_pylist()))
    days = sorted({screen.day(moment) for moment in rows["prediction_timestamp"].to_pylist()})
    if not days:
        return "nothing predicted"
    made = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{rows.num_rows:,} predicted as of {made}, by version {', '.join(versions)}"


@predictions.command("diff")
def predictions_diff(
    before: Annotated[str, typer.Argument(help="Instant (UTC) or snapshot id.")],
    after: Annotated[str, typer.Argument(help="Instant (UTC) or snapshot id.")],
    min_change: Annotated[
        float,
        typer.Option(
            "--min-change",
            help="Leave out who moved by less; 0.05 is five points.",
            min=0,
            max=1,
        ),
    ] = 0.0,
    out: OutOption = None,
    form: FormatOption = Format.table,
    table: TableOption = "",
) -> None:
    """Who appeared, vanished or changed between two instants or snapshots, the largest change
    first.
    """
    from ml.lake import prediction_tables
    from ml.publishing import predictions as library

    table = table or prediction_tables.only()
    rows = library.diff(table, before, after, min_change=min_change)
    keys = prediction_tables.entity_keys(table)
    changes = rows["change"].to_pylist()
    counts = ", ".join(
        f"{changes.count(change):,} {change}"
        for change in ("changed", "appeared", "vanished")
        if change in changes
    )

    def view(first: list[dict[str, Any]]) -> list[Column]:
        return [
            *_texts(first, keys),
            Column("points", [screen.points(r["probability_delta"]) for r in first], right=True),
            Column("before", [screen.percent(r["probability_before"]) for r in first], right=True),
            Column("after", [screen.percent(r["probability_after"]) for r in first], right=True),
            Column("category", [_moved(r["category_before"], r["category_after"]) for r in first]),
            Column("change", [r["change"] for r in first], rank=1),
        ]

    title = f"{table}, {before} to {after}"
    _give(rows, f"{title}: {counts}" if counts else title, out, form, view)


def _moved(before: str | None, after: str | None) -> str:
    return before or "" if before == after else f"{before or 'none'} → {after or 'none'}"


@predictions.command("history")
def predictions_history(
    entity: Annotated[str, typer.Argument(metavar="NIM", help="Student number.")],
    out: OutOption = None,
    form: FormatOption = Format.table,
    table: TableOption = "",
) -> None:
    """Every prediction ever published for one entity, oldest first."""
    from ml.lake import prediction_tables
    from ml.publishing import predictions as library

    table = table or prediction_tables.only()
    rows = library.history(table, entity)
    name = f"{prediction_tables.outcome(table)}_probability"
    every = rows[name].to_pylist()
    steps = [None, *(b - a for a, b in itertools.pairwise(every))]

    def view(first: list[dict[str, Any]]) -> list[Column]:
        return [
            Column("as of", [screen.day(r["prediction_timestamp"]) for r in first]),
            Column(
                prediction_tables.outcome(table),
                [screen.percent(r[name]) for r in first],
                right=True,
            ),
            Column("points", [screen.points(step) for step in steps[: len(first)]], right=True),
            Column("category", [r["risk_category"] for r in first]),
            Column("version", [r["model_version"] for r in first], rank=2),
            Column(
                "most of all",
                [screen.reason(r["contributing_factors"]) for r in first],
                rank=1,
                is_text=True,
            ),
        ]

    _give(rows, f"{table}: {entity}", out, form, view)


@predictions.command("rollback")
def predictions_rollback(
    snapshot: Annotated[
        str, typer.Option(help="Snapshot to go back to; default: the publication before.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    table: TableOption = "",
) -> None:
    """Take `main` back to an earlier publication. Nothing is deleted; it leaves a receipt."""
    from ml import publishing
    from ml.lake import prediction_tables

    table = table or prediction_tables.only()
    if not yes:
        typer.confirm(
            f"Move main of {table} back to {snapshot or 'the publication before'}?", abort=True
        )
    done = publishing.rollback(table, snapshot or None)
    console.print(
        f"main of {table} is at snapshot {done}. `make build` brings the dashboards along."
    )


@models.command("list")
def models_list(
    name: Annotated[str, typer.Argument(help="Use case; default: all.")] = "",
    form: FormatOption = Format.table,
) -> None:
    """Registered versions, with alias, the decision about each, and when it was trained."""
    from ml import registry
    from ml.cli import docs_site
    from ml.training.policy import CAUTION

    known = sorted({*docs_site.use_cases(), *(entry.name for entry in registry.list_versions())})
    if name and name not in known:
        raise InsighteraError(f"No use case {name!r}. There are: {', '.join(known)}.")
    versions = registry.list_versions(name or None)
    if form is not Format.table:
        screen.give(
            [
                {
                    "model": version.name,
                    "version": version.version,
                    "alias": ", ".join(version.aliases),
                    "as_of": version.as_of,
                    "decision": version.tags.get("decision"),
                    "caution": version.tags.get(CAUTION),
                    "features": list(version.features),
                    "metrics": dict(version.metrics),
                }
                for version in versions
            ],
            form,
        )
        return
    if not versions:
        console.print("No version registered yet: `make build` trains the first.")
        return
    most = versions[: screen.MOST]
    screen.show(
        console,
        "Model versions",
        [
            Column("model", [version.name for version in most]),
            Column("version", [version.version for version in most], right=True),
            Column("alias", [", ".join(version.aliases) for version in most]),
            Column("as of", [screen.day(version.as_of) for version in most]),
            Column("features", [str(len(v.features)) for v in most], rank=2, right=True),
            Column("why", [v.tags.get("decision", "") for v in most], is_text=True),
        ],
        len(versions),
    )
    for version in most:
        if registry.CHAMPION in version.aliases and version.tags.get(CAUTION):
            console.print(
                f"[yellow]Caution[/], {version.name} version {version.version}: "
                f"{version.tags[CAUTION]}.",
                highlight=False,
                soft_wrap=True,
            )


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
    from ml.cli.dashboard_server import prepare

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
    from ml.cli.dashboards import check

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
    from ml.cli import docs_site

    pages = docs_site.write(docs_site.use_cases(), dbt_target, out)
    console.print(f"{len(pages)} pages. Open {(out / 'index.html').resolve()}", soft_wrap=True)


@app.command()
def where(
    target: Annotated[str, typer.Option(help="dbt's target that was built: duckdb or spark.")] = (
        "duckdb"
    ),
    form: FormatOption = Format.table,
) -> None:
    """Say what the last build made, and where to look next."""
    from ml.cli.replay import in_words, made, made_in_lake

    parts = made_in_lake() if target == "spark" else made()
    if form is not Format.table:
        screen.give(
            [{"home": str(settings.home()), "subject": of, "said": said} for of, said in parts],
            form,
        )
        return
    console.print(
        f"\nBuilt in {settings.home()}: {in_words(parts)}.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    console.print(
        "Look next:\n"
        "  insightera predictions show             each prediction, and what is behind it\n"
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
def doctor(form: FormatOption = Format.table) -> None:
    """Say what is missing on this machine, and how to get it."""
    from dataclasses import asdict

    from ml.cli.doctor import examine

    findings = examine()
    if form is not Format.table:
        screen.give([asdict(finding) for finding in findings], form)
    else:
        for finding in findings:
            mark = "[green]ok[/]     " if finding.ok else "[red]missing[/]"
            console.print(
                f"{mark} {finding.what}: {finding.found}", highlight=False, soft_wrap=True
            )
            if not finding.ok:
                console.print(f"        {finding.remedy}", highlight=False, soft_wrap=True)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
