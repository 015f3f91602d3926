"""Whole builds of OULAD: from nothing, and the day after. Run by `make bench-builds`.

`OULAD` names the folder of the seven tables. State goes to `var/bench-builds`, which is emptied
first. Writes `benchmarks/builds.md`.
"""

import os
import platform
import shutil

from benchmarks.dbt_build import PROJECT, build, environment, oulad

STATE = PROJECT / "var" / "bench-builds"
DAY, NEXT_DAY = "2014-05-14", "2014-05-15"  # presentation 2014B at full swing


def main() -> None:
    """Build, print and write the table."""
    from ml.importers.oulad import import_oulad

    shutil.rmtree(STATE, ignore_errors=True)
    rows = import_oulad(oulad(), STATE / "raw")
    daily, at_once = (environment(STATE / home, STATE / "raw") for home in ("daily", "whole"))
    first = build(within=daily, as_of=DAY)
    following = build(within=daily, as_of=NEXT_DAY)
    again = build(within=daily, as_of=NEXT_DAY)
    whole = build(within=at_once)
    lines = [
        "# Whole builds of OULAD",
        "",
        "`make bench-builds` (`OULAD=<folder of the seven tables>`) reproduces this page: "
        f"{rows['siakad/krs']:,} enrolments, {rows['lms/aktivitas']:,} student-days of clicks; "
        f"Python {platform.python_version()}, {os.cpu_count()} cores. One `dbt build` each, tests, "
        "training where due, scoring and publication included.",
        "",
        "| build | wall, s | peak, GB | share of the first |",
        "|---|---|---|---|",
    ]
    for name, (seconds, peak) in (
        (f"first, as of {DAY}", first),
        (f"the following day, {NEXT_DAY}", following),
        ("the same again", again),
        ("first, of everything", whole),
    ):
        share = seconds / first[0]
        lines.append(f"| {name} | {seconds:.0f} | {peak:.1f} | {share:.0%} |")
    text = "\n".join(lines) + "\n"
    print(text)
    (PROJECT / "benchmarks" / "builds.md").write_text(text)


if __name__ == "__main__":
    main()
