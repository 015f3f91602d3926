"""`insightera use-cases`: list them, and write what follows from their labels."""

from typing import Annotated

import typer
from rich.console import Console

from ml.cli import screen, use_case_files
from ml.cli.screen import Column, Format
from ml.core import settings
from ml.core.errors import InsighteraError

app = typer.Typer(help="List use cases, and write what follows from their labels.")
console = Console()


@app.command("list")
def list_use_cases(
    form: Annotated[
        Format, typer.Option("--format", help="For a person, or for a machine: everything.")
    ] = Format.table,
) -> None:
    """Every use case: what is asked, of whom, and where the answers are."""
    rows = [
        {
            "name": use_case.name,
            "task": use_case.meta["task"],
            "outcome": use_case.meta["outcome"],
            "entity": ", ".join(use_case.meta["entity_keys"]),
            "output_table": use_case.meta["output_table"],
            "features": list(use_case.tables.values()),
        }
        for use_case in use_case_files.declared(settings.PROJECT)
    ]
    if form is not Format.table:
        screen.give(rows, form)
        return
    if not rows:
        console.print("No use case yet: `insightera new use-case` writes one.")
        return
    heads = {"name": 0, "task": 0, "outcome": 2, "entity": 1, "output_table": 0}
    columns = [
        Column(head.replace("_", " "), [str(row[head]) for row in rows], rank=rank)
        for head, rank in heads.items()
    ]
    screen.show(console, "Use cases", columns, len(rows))


@app.command("sync")
def sync(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where something would be written.")
    ] = False,
) -> None:
    """Write what follows from the labels' YAML: models, audits, and what gathers all use cases."""
    if not check:
        report(use_case_files.sync(settings.PROJECT))
        return
    differing = use_case_files.differences(settings.PROJECT)
    if differing:
        raise InsighteraError(
            "These files are not what models/labels/ and models/reporting/ ask for: "
            f"{', '.join(differing)}. Run `insightera use-cases sync`."
        )
    console.print("What is generated is what the labels ask for.")


def report(changed: list[str]) -> None:
    """Say what was written or removed."""
    for path in changed:
        done = "wrote" if (settings.PROJECT / path).exists() else "removed"
        console.print(f"{done} {path}", highlight=False, markup=False, soft_wrap=True)
    if not changed:
        console.print("Nothing to write: all is as the labels ask for.")
