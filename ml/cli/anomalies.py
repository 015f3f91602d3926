"""`insightera anomalies`: what was flagged, and what people say of it."""

from enum import Enum
from typing import Annotated, Any

import typer

from ml.cli import screen
from ml.cli.screen import Column, Format
from ml.cli.terminal import FormatOption, OutOption, console, given, say

app = typer.Typer(help="Look at anomalies, and say what they were.", no_args_is_help=True)
SHORT = 8  # characters of an id that a person reads
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the id's beginning.")]


class Status(str, Enum):
    """Which anomalies a list holds."""

    open = "open"
    confirmed = "confirmed"
    false_alarm = "false_alarm"
    all = "all"


class Verdict(str, Enum):
    """What a review says."""

    confirmed = "confirmed"
    false_alarm = "false_alarm"


@app.command("list")
def anomalies_list(
    use_case: Annotated[str, typer.Option("--use-case", help="Use case; default: all.")] = "",
    status: Annotated[Status, typer.Option(help="What was said of them so far.")] = Status.all,
    out: OutOption = None,
    form: FormatOption = Format.table,
) -> None:
    """What was flagged: those that nobody has reviewed first, then by score."""
    from ml.lake import anomaly_reviews
    from ml.tasks.rates import reviewed

    rows = anomaly_reviews.detected(use_case, status.value)
    if given(rows, out, form):
        return
    what = "" if status is Status.all else f"{status.value.replace('_', ' ')} "
    if not rows.num_rows:
        console.print(f"No {what}anomalies.")
        return
    first = rows.slice(0, screen.MOST).to_pylist()
    width = _width(rows["anomaly_id"].to_pylist())
    screen.show(
        console,
        f"{rows.num_rows:,} {what}anomalies",
        [
            Column("id", [row["anomaly_id"][:width] for row in first]),
            Column("of", [row["entity"] for row in first]),
            Column("score", [f"{row['anomaly_score']:.1f}" for row in first], right=True),
            Column("status", [row["status"].replace("_", " ") for row in first]),
            Column("severity", [row["severity"] or "" for row in first], rank=2),
            Column("as of", [screen.day(row["prediction_timestamp"]) for row in first], rank=3),
            Column("use case", [row["use_case"] for row in first], rank=4),
            Column("why", [row["explanation"] or "" for row in first], rank=1, is_text=True),
        ],
        rows.num_rows,
    )
    for name in sorted(set(rows["use_case"].to_pylist())):
        said = reviewed(*anomaly_reviews.counts(name))
        say(f"{name}: {said.words}.")


@app.command("show")
def anomalies_show(
    anomaly: IdArgument, out: OutOption = None, form: FormatOption = Format.table
) -> None:
    """One anomaly, in full, with every review of it."""
    from ml.lake import anomaly_reviews

    found, reviews = anomaly_reviews.of(anomaly)
    row = found.to_pylist()[0]
    if given([{**row, "reviews": reviews.to_pylist()}], out, form):
        return
    for name, value in _lines(row):
        console.print(f"{name:<12} {value}", highlight=False, markup=False, soft_wrap=True)
    for review in reviews.to_pylist():
        console.print(
            f"{'review':<12} {review['reviewed_at']:%Y-%m-%d %H:%M} UTC, {review['reviewed_by']}: "
            f"{review['verdict'].replace('_', ' ')}: {review['reason']}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@app.command("resolve")
def anomalies_resolve(
    anomaly: IdArgument,
    verdict: Annotated[Verdict, typer.Option("--as", help="What it was.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the review.")],
) -> None:
    """Say what an anomaly was. The detection stays; a later review supersedes this one."""
    from ml.lake import anomaly_reviews

    whole = anomaly_reviews.resolve(anomaly, verdict.value, reason)
    console.print(f"{whole[:SHORT]}: {verdict.value.replace('_', ' ')}.", highlight=False)


def _lines(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("anomaly", row["anomaly_id"]),
        ("of", f"{row['entity']}, {row['use_case']} ({row['domain']})"),
        ("as of", screen.day(row["prediction_timestamp"])),
        (
            "score",
            f"{row['anomaly_score']:.2f} of 100, severity {row['severity'] or 'none'}, "
            f"z {row['z_score']:.1f}",
        ),
        ("type", row["anomaly_type"] or ""),
        ("why", row["explanation"] or ""),
        ("status", row["status"].replace("_", " ")),
    ]


def _width(ids: list[str]) -> int:
    """The fewest characters, eight or more, that tell the ids apart."""
    return next(
        (
            width
            for width in range(SHORT, 33)
            if len({each[:width] for each in ids}) == len(set(ids))
        ),
        32,
    )
