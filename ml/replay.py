"""Walking the pipeline through history: the instants, a build at each, and what it left behind."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from ml import builds, lake, predictions, settings
from ml.errors import InsighteraError
from ml.instants import past_instant

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
    InsighteraError, which says where to read on, where the build fails.
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
    with (
        log.open("w") as handle,
        redirect_stdout(handle),
        redirect_stderr(handle),
        _within(settings.PROJECT, environment),
    ):
        done = builds.run_dbt(*arguments)
    if not done.success:
        lines = (log.read_text().strip() or str(done.exception)).splitlines()
        failures = [line for line in lines if "ERROR" in line or "FAIL" in line or "AUDIT" in line]
        raise InsighteraError(
            f"The build as of {instant} failed; its log is {log}.\n  "
            + "\n  ".join((failures or lines)[-8:])
            + "\nMend it and run the same replay again: finished steps do nothing the second time."
        )
    built = {result.node.name for result in getattr(done.result, "results", [])}
    if not built and not again:
        raise InsighteraError(
            f"--select {select!r} matches nothing that can be built, so nothing was. "
            "`dbt ls` lists what there is; names are those of the models."
        )
    return summary(built)


def summary(built: Collection[str] | None = None) -> str:
    """One line on the build that ended last: model decision, rows scored, predictions published.

    `built`: of these nodes only, else of all that there are. Raises InsighteraError where DuckDB
    built nothing here.
    """
    if not settings.warehouse().exists():
        raise InsighteraError(f"Nothing is built in {settings.home()} yet. Run `make build` first.")
    with duckdb.connect(str(settings.warehouse()), read_only=True) as connection:
        tables = {
            name
            for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()
        }
        parts = []
        for name in sorted(tables if built is None else tables.intersection(built)):
            schema = "published" if name.startswith("published_") else "ml"
            if name.startswith("train_"):
                row = connection.table(f"{schema}.{name}").project("decision").fetchone()
                parts.append(str(row[0]) if row else "")
            elif name.startswith(("score_", "published_")) and name != "published_receipts":
                count = connection.table(f"{schema}.{name}").aggregate("count(*)").fetchall()[0][0]
                verb = "scored" if name.startswith("score_") else "published in all"
                parts.append(f"{count:,} {verb}")
    return "; ".join(parts) or "built"


def summary_of_lake() -> str:
    """As `summary`, of a build on Spark: its tables are in the lake."""
    parts = []
    for name in lake.tables():
        if name.startswith("train_"):
            parts += lake.read_table(name, columns=["decision"])["decision"].to_pylist()
        elif name.startswith("score_"):
            parts.append(f"{lake.read_table(name, columns=['run_id']).num_rows:,} scored")
    for name in predictions.tables():
        parts.append(f"{predictions.current(name).num_rows:,} published in all")
    return "; ".join(parts) or "built"


@contextmanager
def _within(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """This process in a folder, with more settings."""
    before, held = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(held)
