"""An invented university of any size: from nothing, the day after, and the same again. Run by
`make bench-scale` (`STUDENTS=20000`).

State goes to `var/bench-scale`, which is emptied first. Writes `benchmarks/scale.md`. Memory is bounded as
`INSIGHTERA_MEMORY` says; without it, by 80 kB a student, which is 8 GB for a hundred thousand.
"""

import argparse
import os
import platform
import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.dbt_build import PROJECT, Run, build, environment

STATE = PROJECT / "var" / "bench-scale"
DAY = date(2024, 5, 14)  # in the middle of a semester
KILOBYTES = 80  # of memory a student
SCORED = re.compile(
    r"^(\w+): ([\d,]+) of ([\d,]+) entities scored .*?([\d,]+) computed\)", re.MULTILINE
)
STANDS = re.compile(
    r"^(\w+): what was published of ([\d,]+) entities stands; ([\d,]+) were computed", re.MULTILINE
)
UNCHANGED = re.compile(r"^(\w+): nothing changed for ([\d,]+) entities", re.MULTILINE)


def size(folder: Path) -> float:
    """GB of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def shares(run: Run) -> dict[str, str]:
    """Of each use case how many a build wrote and computed, of how many there were."""
    found = {name: tuple(map(number, told)) for name, *told in SCORED.findall(run.output)}
    for name, population, computed in STANDS.findall(run.output):
        found[name] = (0, number(population), number(computed))
    for name, population in UNCHANGED.findall(run.output):
        found[name] = (0, number(population), 0)
    return {
        name: f"{written:,} of {population:,} ({written / population:.0%}); computed {computed / population:.0%}"
        if population
        else "0"
        for name, (written, population, computed) in found.items()
    }


def number(told: str) -> int:
    """A number with commas."""
    return int(told.replace(",", ""))


def versions(home: Path) -> list[tuple[str, int, int]]:
    """Of each feature table of students its versions and the students it knows."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from duckdb_columns() where schema_name = 'features' "
            "and column_name = 'nim' and table_name like 'features_mahasiswa_%' order by all"
        ).fetchall()
        return [
            (
                table,
                *connection.execute(
                    f"select count(*), count(distinct nim) from features.{table}"
                ).fetchone(),
            )
            for (table,) in tables
        ]


def main() -> None:
    """Build, print and write the tables."""
    from ml.raw.demo.generate import generate

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=20_000)
    students = parser.parse_args().students
    memory = os.environ.get("INSIGHTERA_MEMORY") or f"{KILOBYTES * students // 1000}MB"
    shutil.rmtree(STATE, ignore_errors=True)
    generate(students, 7, STATE / "raw", file_format="parquet")
    home = STATE / "home"
    within = environment(home, STATE / "raw", INSIGHTERA_MEMORY=memory)
    days = {
        f"first, as of {DAY}": DAY,
        "the following day": DAY + timedelta(days=1),
        "the same again": DAY + timedelta(days=1),
    }
    runs, sizes = {}, {}
    for name, day in days.items():
        runs[name] = build(within=within, as_of=str(day))
        sizes[name] = size(home)
    told = {name: shares(run) for name, run in runs.items()}
    lines = [
        f"# {students:,} students",
        "",
        f"`make bench-scale STUDENTS={students}` wrote this: {size(STATE / 'raw'):.2f} GB of raw data by "
        f"`insightera generate`, INSIGHTERA_MEMORY={memory}; Python {platform.python_version()}, "
        f"{os.cpu_count()} cores. A `dbt build` each, tests, training where due, scoring and publication "
        "included; peak is that of the process, home what it held afterwards.",
        "",
        "| build | wall, s | peak, GB | home, GB |",
        "|---|---|---|---|",
        *(
            f"| {name} | {run.seconds:.0f} | {run.peak:.1f} | {sizes[name]:.2f} |"
            for name, run in runs.items()
        ),
        "",
        "Entities written to the audit branch, of all there were:",
        "",
        f"| use case | {' | '.join(runs)} |",
        f"|---{'|---' * len(runs)}|",
        *(
            f"| {case} | {' | '.join(told[name].get(case, '-') for name in runs)} |"
            for case in sorted({case for each in told.values() for case in each})
        ),
        "",
        "| feature table | versions | a student |",
        "|---|---|---|",
        *(
            f"| {table} | {held:,} | {held / max(known, 1):.0f} |"
            for table, held, known in versions(home)
        ),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    (PROJECT / "benchmarks" / "scale.md").write_text(text)


if __name__ == "__main__":
    main()
