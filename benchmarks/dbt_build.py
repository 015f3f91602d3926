"""A `dbt build` in a home of its own, for the benchmarks that time whole builds or need one, and the
environment of one, for the tests too."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]


class Run(NamedTuple):
    """What a command took, and what it printed: on the screen too, as it came."""

    seconds: float
    peak: float  # GB, of the largest process
    output: str


def oulad() -> Path:
    """The folder of OULAD's seven tables: `$OULAD`, or where the team keeps it."""
    return Path(os.environ.get("OULAD", PROJECT.parent / "shared" / "data" / "oulad"))


def environment(home: Path, raw: Path | None = None, **settings: str) -> dict[str, str]:
    """Of processes that work in `home` over `raw` (the seeds without one), and nowhere else."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("INSIGHTERA_", "DBT_"))}
    return inherited | {
        "DBT_PROFILES_DIR": str(PROJECT / "profiles"),
        "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "target"),
        "INSIGHTERA_HOME": str(home),
        "INSIGHTERA_RAW": "" if raw is None else str(raw),
        **settings,
    }


def build(*arguments: str, within: dict[str, str], as_of: str = "") -> Run:
    """One `dbt build`; one that fails ends the benchmark.

    `within`: its `environment`. `as_of`: empty for the newest raw row.
    """
    return run("dbt", "--quiet", "build", *arguments, within=within | {"INSIGHTERA_AS_OF": as_of})


def run(command: str, *arguments: str, within: dict[str, str]) -> Run:
    """One of the project's commands; one that fails ends the benchmark.

    `within`: its `environment`.
    """
    program = Path(sys.executable).parent / command
    began = time.monotonic()
    process = subprocess.Popen(
        [program, *arguments], cwd=PROJECT, env=within, stdout=subprocess.PIPE, text=True
    )
    with process.stdout:
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed in {within['INSIGHTERA_HOME']}")
    return Run(time.monotonic() - began, usage.ru_maxrss / 1e6, "".join(lines))
