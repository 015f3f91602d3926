"""`insightera where`, `replay`, `catch-up`, `docs`, `doctor`: builds, what they left and need."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.screen import Format
from ml.cli.terminal import FormatOption, OutOption, console, given, progress, say
from ml.core import settings


def replay(
    first: Annotated[str, typer.Option("--from", help="First `as_of`, e.g. 2014-02-01 (UTC).")],
    last: Annotated[str, typer.Option("--to", help="No step goes beyond it.")],
    every: Annotated[str, typer.Option(help="Step: days or weeks, e.g. 1d or 4w.")] = "1w",
    select: Annotated[str, typer.Option(help="dbt selection; default: everything.")] = "",
) -> None:
    """Walk the whole pipeline through history: one `dbt build` per step, each as of its instant.

    Unit tests, which try the code and not the data, run in the first step only. A step that fails
    ends the walk; use cases of which nothing failed are up to date then, as by `catch-up`.
    """
    from ml.cli.replay import replay_step, steps

    instants = steps(first, last, every)
    for number, instant in enumerate(instants, start=1):
        label = f"[{number}/{len(instants)}] as of {instant:%Y-%m-%d %H:%M}"
        began = time.monotonic()
        with progress() as bar:
            bar.add_task(label)
            summary = replay_step(instant, select, again=number > 1)
        say(f"{label}: {summary} ({time.monotonic() - began:.0f} s)")


def catch_up(
    dbt_target: Annotated[
        Path | None, typer.Option(help="dbt's target folder; default $DBT_TARGET_PATH, or target.")
    ] = None,
) -> None:
    """Go on after a `dbt build` that refused a use case: bring what is of all others up to date.

    The refused one keeps what it had published. `make build` does it by itself.
    """
    from ml.cli.catch_up import catch_up
    from ml.core import builds

    say(catch_up(dbt_target or builds.target()))


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


def where(
    target: Annotated[str, typer.Option(help="dbt's target that was built: duckdb or spark.")] = (
        "duckdb"
    ),
    out: OutOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Say what the last build made, and where to look next."""
    from ml.cli.replay import made, made_in_lake
    from ml.lake import prediction_tables

    parts = made_in_lake() if target == "spark" else made()
    home = str(settings.home())
    rows = [{"home": home, "subject": of, "said": said} for of, said in parts]
    if given(rows, out, form):
        return
    say(f"\nBuilt in {home}:")
    for subject in dict.fromkeys(of for of, _ in parts):
        say(f"  {subject}: {', '.join(said for of, said in parts if of == subject)}")
    show = " ".join(["insightera predictions show", *prediction_tables.tables()[-1:]])
    look = {
        show: "each prediction, and what is behind it",
        "insightera models list": "the versions behind it",
        "insightera features get KEY": "what was known of a student or a study programme",
        str(settings.serving()): "what dashboards read",
        "make dashboards": "the dashboards, on http://127.0.0.1:8088",
        "make docs": "every model, column and test, with lineage",
    }
    say("Look next:")
    for what, gives in look.items():
        say(f"  {what:<{len(show)}}  {gives}")
    say("(the commands live in .venv/bin; README.md goes on from here)")


def doctor(out: OutOption = None, form: FormatOption = Format.table) -> None:
    """Say what is missing on this machine, and how to get it."""
    from ml.cli.doctor import examine

    findings = examine()
    if not given([asdict(finding) for finding in findings], out, form):
        for finding in findings:
            mark = "[green]ok[/]     " if finding.ok else "[red]missing[/]"
            console.print(
                f"{mark} {finding.what}: {finding.found}", highlight=False, soft_wrap=True
            )
            if not finding.ok:
                console.print(f"        {finding.remedy}", highlight=False, soft_wrap=True)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
