"""`insightera use-cases`: list them, and write what follows from their labels."""

from typing import Annotated

import typer

from ml.cli import new_use_case, screen, use_case_files
from ml.cli.screen import Column, Format
from ml.cli.terminal import FormatOption, OutOption, console, given
from ml.core import settings
from ml.core.errors import InsighteraError

new = typer.Typer(help="Begin something new.", no_args_is_help=True)
app = typer.Typer(help="List use cases, and write what follows from their labels.")


@app.command("list")
def list_use_cases(out: OutOption = None, form: FormatOption = Format.table) -> None:
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
    if given(rows, out, form):
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


@new.command("use-case")
def new_one(
    name: Annotated[str, typer.Argument(help="What to call it, e.g. course_failure.")],
    task: Annotated[str, typer.Option(help="classification, forecast or anomaly.")] = "",
    entity: Annotated[str, typer.Option(help="Key of what is asked about, e.g. nim.")] = "",
    outcome: Annotated[str, typer.Option(help="What is asked: names columns, e.g. failure.")] = "",
    features: Annotated[str, typer.Option(help="Feature models, separated by commas.")] = "",
    event_model: Annotated[
        str, typer.Option(help="Model whose rows are the events that the label counts.")
    ] = "",
    event_time: Annotated[str, typer.Option(help="Its column with the event's instant.")] = "",
    event_where: Annotated[str, typer.Option(help="SQL: which of its rows; default all.")] = "",
    horizon_days: Annotated[int, typer.Option(help="How far ahead the label looks.", min=1)] = 180,
    mandatory: Annotated[
        str, typer.Option(help="Features that are always in, separated by commas.")
    ] = "",
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask.")] = False,
) -> None:
    """Write a label that runs and its YAML, and what follows from them."""
    answers = {
        "--task": task or _ask("Task: classification, forecast or anomaly", no_input),
        "--entity": entity or _ask("Key of what is asked about, e.g. nim", no_input),
        "--outcome": outcome or _ask("Outcome in a word, e.g. failure", no_input),
        "--features": features or _ask("Feature models, separated by commas", no_input),
    }
    if answers["--task"] != "anomaly":
        answers["--event-model"] = event_model or _ask("Model with the events", no_input)
        answers["--event-time"] = event_time or _ask("Its column with their instant", no_input)
    missing = [option for option, answer in answers.items() if not answer]
    if missing:
        raise InsighteraError(f"Say {', '.join(missing)}, or leave out --no-input to be asked.")
    wanted = new_use_case.Wanted(
        name=name,
        task=answers["--task"],
        entity=_list(answers["--entity"]),
        outcome=answers["--outcome"],
        features=_list(answers["--features"]),
        horizon_days=horizon_days,
        event_model=answers.get("--event-model", ""),
        event_time=answers.get("--event-time", ""),
        event_where=event_where,
        mandatory=_list(mandatory),
    )
    for path in new_use_case.write(settings.PROJECT, wanted):
        console.print(f"wrote {path.relative_to(settings.PROJECT)}", highlight=False)
    report(use_case_files.sync(settings.PROJECT))
    console.print(
        f"Next: read models/labels/label_{name}.sql, make the question yours, and run `make build`.\n"
        "After each change of its YAML: `insightera use-cases sync`.\n"
        "To undo: delete the two files of the label, and sync.",
        highlight=False,
        soft_wrap=True,
    )


def _ask(question: str, no_input: bool) -> str:
    return "" if no_input else str(typer.prompt(question))


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def report(changed: list[str]) -> None:
    """Say what was written or removed."""
    for path in changed:
        done = "wrote" if (settings.PROJECT / path).exists() else "removed"
        console.print(f"{done} {path}", highlight=False, markup=False, soft_wrap=True)
    if not changed:
        console.print("Nothing to write: all is as the labels ask for.")
