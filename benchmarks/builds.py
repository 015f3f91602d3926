"""Whole builds of OULAD: from nothing, and the day after. Run by `make bench-builds`.

`OULAD` names the folder of the seven tables. State goes to `var/bench-builds`, which is emptied
first. Writes `benchmarks/builds.md`.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
STATE = PROJECT / "var" / "bench-builds"
DAY, NEXT_DAY = "2014-05-14", "2014-05-15"  # presentation 2014B at full swing


def build(home: str, as_of: str = "") -> tuple[float, float]:
    """Wall seconds and peak memory (GB, of the largest process) of one `dbt build`."""
    command = [Path(sys.executable).parent / "dbt", "--quiet", "build"]
    environment = os.environ | {
        "DBT_PROFILES_DIR": str(PROJECT / "profiles"),
        "DBT_TARGET_PATH": str(STATE / "target"),
        "INSIGHTERA_AS_OF": as_of,
        "INSIGHTERA_RAW": str(STATE / "raw"),
        "INSIGHTERA_HOME": str(STATE / home),
    }
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=PROJECT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the build in {STATE / home} failed")
    return time.monotonic() - began, usage.ru_maxrss / 1e6


def main() -> None:
    """Build, print and write the table."""
    from ml.importers.oulad import import_oulad

    shutil.rmtree(STATE, ignore_errors=True)
    source = Path(os.environ.get("OULAD", PROJECT.parent / "shared" / "data" / "oulad"))
    rows = import_oulad(source, STATE / "raw")
    first = build("daily", DAY)
    following = build("daily", NEXT_DAY)
    again = build("daily", NEXT_DAY)
    whole = build("whole")
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
