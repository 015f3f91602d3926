"""The same first build on DuckDB and on Spark, side by side. Run by `make bench-engines`.

Over the demo university, ten times the demo, and OULAD (`OULAD` names the folder of its seven
tables; left out where there is none). State goes to `var/bench-engines`, which is emptied first.
Writes `benchmarks/engines.md`.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

from benchmarks.dbt_build import PROJECT, build, environment, oulad

STATE = PROJECT / "var" / "bench-engines"
DEMO_STUDENTS = 245  # as many as the seeds hold
ENGINES = ("duckdb", "spark")


def measured(raw: Path, engine: str) -> tuple[float, int]:
    """Wall seconds of a first `dbt build`, tests left out, and the predictions it published."""
    home = STATE / f"{raw.name}-{engine}"
    kinds = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    seconds = build("--target", engine, *kinds, within=environment(home, raw)).seconds
    os.environ["INSIGHTERA_HOME"] = str(home)
    from ml.lake import prediction_tables
    from ml.publishing import predictions

    published = [predictions.current(name).num_rows for name in prediction_tables.tables()]
    return seconds, sum(published)


def universities() -> list[tuple[str, Path]]:
    """What is built: its name, and its raw folder."""
    from ml.raw.demo.generate import generate
    from ml.raw.importers.oulad import import_oulad

    made = []
    for times in (1, 10):
        raw = STATE / f"demo-{times}"
        generate(times * DEMO_STUDENTS, 1, raw, file_format="parquet")
        made.append((f"demo, {times} times: {times * DEMO_STUDENTS:,} students", raw))
    if oulad().exists():
        rows = import_oulad(oulad(), STATE / "oulad")
        made.append((f"OULAD: {rows['siakad/krs']:,} enrolments", STATE / "oulad"))
    return made


def main() -> None:
    """Build, print and write the table."""
    shutil.rmtree(STATE, ignore_errors=True)
    lines = [
        "# DuckDB and Spark",
        "",
        "`make bench-engines` (`OULAD=<folder of the seven tables>`) reproduces this page: one first `dbt build` each, "
        "its tests left out, training, scoring, publication and reports included. "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, Spark on `local[*]`; starting Spark is counted. "
        "At its last row OULAD has nobody left to be scored: every course has ended.",
        "",
        "| university | published | DuckDB, s | Spark, s | Spark / DuckDB |",
        "|---|---|---|---|---|",
    ]
    for name, raw in universities():
        done = {engine: measured(raw, engine) for engine in ENGINES}
        (duckdb, published), (spark, also) = (done[engine] for engine in ENGINES)
        if published != also:
            sys.exit(f"{name}: DuckDB published {published} predictions, Spark {also}")
        lines.append(
            f"| {name} | {published:,} | {duckdb:.0f} | {spark:.0f} | {spark / duckdb:.1f} |"
        )
        print(lines[-1], flush=True)
        (PROJECT / "benchmarks" / "engines.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
