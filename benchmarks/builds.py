"""Whole builds of OULAD: from nothing, and the days after. Run by `make bench-builds`.

`OULAD` names the folder of the seven tables. State goes to `var/bench-builds`, which is emptied
first. Writes `benchmarks/builds.md`.
"""

import os
import platform
import re
import shutil
from datetime import date, timedelta
from statistics import median

from benchmarks.dbt_build import PROJECT, build, environment, oulad, run

STATE = PROJECT / "var" / "bench-builds"
DAY = date(2014, 5, 14)  # presentation 2014B at full swing
REPLAYED = 3  # of the days that follow


def main() -> None:
    """Build, print and write the table."""
    from ml.raw.importers.oulad import import_oulad

    shutil.rmtree(STATE, ignore_errors=True)
    rows = import_oulad(oulad(), STATE / "raw")
    daily, at_once = (environment(STATE / home, STATE / "raw") for home in ("daily", "whole"))
    whole = build(within=at_once)
    first = build(within=daily, as_of=str(DAY))
    last = DAY + timedelta(days=REPLAYED)
    span = ("--from", str(DAY), "--to", str(last), "--every", "1d")
    replayed = run("insightera", "replay", *span, within=daily)
    steps = [int(seconds) for seconds in re.findall(r"\((\d+) s\)$", replayed.output, re.MULTILINE)]
    next_day = str(last + timedelta(days=1))
    following = build(within=daily, as_of=next_day)
    again = build(within=daily, as_of=next_day)
    each = ", ".join(str(seconds) for seconds in steps[1:])
    lines = [
        "# Whole builds of OULAD",
        "",
        "`make bench-builds` (`OULAD=<folder of the seven tables>`) reproduces this page: "
        f"{rows['siakad/krs']:,} enrolments, {rows['lms/aktivitas']:,} student-days of clicks; "
        f"Python {platform.python_version()}, {os.cpu_count()} cores. A `dbt build` each, tests, "
        "training where due, scoring and publication included. A step of a replay is a build in a "
        "process that has built before, without dbt's unit tests.",
        "",
        "| build | wall, s | peak, GB | share of the first |",
        "|---|---|---|---|",
    ]
    step = f"a following day as a step of `insightera replay` (median of {each})"
    for name, seconds, peak in (
        ("first, of everything", whole.seconds, whole.peak),
        (f"first, as of {DAY}", first.seconds, first.peak),
        (step, median(steps[1:]), replayed.peak),
        ("a following day as a `dbt build` of its own", following.seconds, following.peak),
        ("the same again", again.seconds, again.peak),
    ):
        share = seconds / whole.seconds
        lines.append(f"| {name} | {seconds:.0f} | {peak:.1f} | {share:.0%} |")
    text = "\n".join(lines) + "\n"
    print(text)
    (PROJECT / "benchmarks" / "builds.md").write_text(text)


if __name__ == "__main__":
    main()
