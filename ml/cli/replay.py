"""Walking the pipeline through history: the instants, a build at each, and what it left behind."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path

from ml import lake
from ml.cli.catch_up import catch_up
from ml.core import builds, memory, settings
from ml.core.errors import InsighteraError
from ml.core.instants import past_instant
from ml.lake import prediction_tables
from ml.publishing import RECEIPTS, predictions

_ORDER = "train score published"
_PUBLISHED = "published in all"
_STEP = re.compile(r"^([1-9]\d*)([dw])$")


def steps(first: str, last: str, every: str) -> list[datetime]:
    """The instants from `first` to at most `last`, `every` so many days or weeks (`1d`, `4w`).

    Raises InsighteraError for an unreadable instant or step, and where `last` is before `first`.
    """
    match = _STEP.match(every)
    if match is None:
        raise InsighteraError(
            f"--every {every!r} is no step: write days or weeks, such as 1d or 4w."
        )
    length = timedelta(days=int(match[1]) * (7 if match[2] == "w" else 1))
    start, end = past_instant(first, "--from"), past_instant(last, "--to")
    if end < start:
        raise InsighteraError(f"--to {last} lies before --from {first}.")
    return [start + length * n for n in range((end - start) // length + 1)]


def replay_step(instant: datetime, select: str, *, again: bool) -> str:
    """One build as of `instant`, in this process; its last words.

    What it prints goes to a log under the home. `select`: dbt's selection, empty for everything.
    `again`: not the first of the replay, so unit tests would find what they found. Raises
    InsighteraError, which says where to read on, where the build fails; use cases of which nothing
    failed are up to date then.
    """
    logs = settings.home().resolve() / "replay"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{instant:%Y-%m-%dT%H%M}.log"
    arguments = ["--no-use-colors", "build"]
    arguments += ["--select", select] if select else []
    arguments += ["--exclude-resource-type", "unit_test"] if again else []
    environment = {
        "DBT_PROFILES_DIR": str(settings.PROJECT / "profiles"),
        "INSIGHTERA_AS_OF": instant.isoformat(sep=" "),
    }
    with _logged(log, "w", environment):
        done = builds.run_dbt(*arguments)
    if not done.success:
        lines = (log.read_text().strip() or str(done.exception)).splitlines()
        failures = [line for line in lines if "ERROR" in line or "FAIL" in line or "AUDIT" in line]
        told = (failures or lines)[-8:]
        if done.exception is None:
            with _logged(log, "a", environment):
                told.append(_of_others())
        raise InsighteraError(
            f"The build as of {instant} failed; its log is {log}.\n  "
            + "\n  ".join(told)
            + "\nMend it and run the same replay again: finished steps do nothing the second time."
        )
    built = {result.node.name for result in getattr(done.result, "results", [])}
    if not built and not again:
        raise InsighteraError(
            f"--select {select!r} matches nothing that can be built, so nothing was. "
            "`dbt ls` lists what there is; names are those of the models."
        )
    return in_words(made(built))


@contextmanager
def _logged(log: Path, mode: str, environment: Mapping[str, str]) -> Iterator[None]:
    """This process in the project's folder, with more settings; what it prints goes to a file."""
    with (
        log.open(mode) as handle,
        redirect_stdout(handle),
        redirect_stderr(handle),
        builds.within(settings.PROJECT, environment),
    ):
        yield


def _of_others() -> str:
    """What becomes of the use cases of which nothing failed: `catch_up`, whether it succeeds or not."""
    try:
        return catch_up(builds.target())
    except InsighteraError as error:
        return str(error)


# of every use case at once: what they hold is counted where it comes from
OF_ALL = ("published_receipts", "published_predictions")


def in_words(parts: Sequence[tuple[str, str]]) -> str:
    """What was made, each use case and table by its name."""
    subjects = dict.fromkeys(subject for subject, _ in parts)
    return (
        "; ".join(
            f"{subject}: {', '.join(said for of, said in parts if of == subject)}"
            for subject in subjects
        )
        or "built"
    )


def made(built: Collection[str] | None = None) -> list[tuple[str, str]]:
    """What the build that ended last made: use case or prediction table, and what of it.

    `built`: of these nodes only, else of all that there are. Raises InsighteraError where DuckDB
    built nothing here.
    """
    if not settings.warehouse().exists():
        raise InsighteraError(f"Nothing is built in {settings.home()} yet. Run `make build` first.")
    parts = []
    with memory.connect(settings.warehouse(), read_only=True) as connection:
        tables = {
            name
            for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()
        }
        tables = tables if built is None else tables.intersection(built)
        for name in sorted(tables, key=lambda name: (_ORDER.find(name.split("_")[0]), name)):
            kind, _, subject = name.partition("_")
            if kind == "train":
                row = connection.table(f"ml.{name}").project("decision").fetchone()
                parts.append((subject, str(row[0]).rstrip(".") if row else "nothing decided"))
            elif kind == "score":
                found = connection.table(f"ml.{name}").aggregate("count(*), max(run_id)")
                parts.append((subject, _scored(subject, *found.fetchall()[0])))
            elif kind == "published" and name not in OF_ALL:
                found = connection.table(f"published.{name}").aggregate("count(*)")
                parts.append((subject, f"{found.fetchall()[0][0]:,} {_PUBLISHED}"))
    return parts


def made_in_lake() -> list[tuple[str, str]]:
    """As `made`, of a build on Spark: its tables are in the lake."""
    parts = []
    for name in sorted(lake.tables(), key=lambda name: (_ORDER.find(name.split("_")[0]), name)):
        kind, _, subject = name.partition("_")
        if kind == "train":
            decisions = lake.read_table(name, columns=["decision"])["decision"].to_pylist()
            parts += [(subject, decision.rstrip(".")) for decision in decisions]
        elif kind == "score":
            runs = lake.read_table(name, columns=["run_id"])["run_id"].to_pylist()
            parts.append((subject, _scored(subject, len(runs), runs[0] if runs else None)))
    for name in prediction_tables.tables():
        count = predictions.current(name).num_rows
        parts.append((name, f"{count:,} {_PUBLISHED}"))
    return parts


def _scored(use_case: str, written: int, run_id: str | None) -> str:
    """How many answers the last build wrote and, by its receipt, computed, of how many it was asked about."""
    rows = (
        lake.read_table(RECEIPTS, equal={"run_id": run_id, "model_name": use_case}).to_pylist()
        if written and lake.exists(RECEIPTS)
        else []
    )
    told = [row for row in rows if row.get("population") is not None]
    of = f" of {told[-1]['population']:,} ({told[-1]['computed']:,} computed)" if told else ""
    return f"{written:,}{of} scored"
