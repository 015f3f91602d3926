"""What this machine has, and what it lacks."""

import importlib.metadata
import os
import shutil
import sys
from dataclasses import dataclass

from ml import raw
from ml.core import memory, settings
from ml.core.errors import InsighteraError
from ml.engine import spark_session as spark
from ml.raw.files import contract

_PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb", "pyiceberg", "mlflow", "scikit-learn", "shap")
_FREE_GIB = 2


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what, what was found, and how to get it where it is missing."""

    what: str
    ok: bool
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at Python, packages, state folder, disk, memory and raw data."""
    version = ".".join(map(str, sys.version_info[:3]))
    findings = [
        Finding(
            "Python 3.10 or later", sys.version_info >= (3, 10), version, "Install Python 3.10+."
        )
    ]
    findings += [_package(name) for name in _PACKAGES]
    home = settings.home()
    probe = home if home.exists() else settings.PROJECT
    free = shutil.disk_usage(probe).free / 2**30
    findings.append(
        Finding("state folder", os.access(probe, os.W_OK), str(home), f"Make {home} writable.")
    )
    findings.append(
        Finding(
            "disk", free > _FREE_GIB, f"{free:.0f} GiB free", f"Free {_FREE_GIB} GiB for a build."
        )
    )
    findings.append(_memory())
    findings.append(_raw())
    findings.append(_spark())
    built = settings.serving()
    findings.append(Finding("a finished build", built.exists(), str(built), "Run `make build`."))
    return findings


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", "Run `make install`.")


def _memory() -> Finding:
    try:
        found = (
            f"{memory.budget() / 2**30:.1f} GiB a process, INSIGHTERA_MEMORY or half the machine"
        )
        return Finding("memory", True, found)
    except InsighteraError as error:
        return Finding("memory", False, "not known", str(error))


def _spark() -> Finding:
    """Only the `spark` target needs it: missing is no fault of a machine, and the remedy is told."""
    lacking = spark.problems()
    if lacking:
        return Finding("Spark (optional)", True, "not here. " + " ".join(lacking))
    return Finding("Spark (optional)", True, importlib.metadata.version("pyspark"))


def _raw() -> Finding:
    folder = settings.raw()
    if folder is None:
        return Finding("raw data", True, "the demo seeds (INSIGHTERA_RAW is not set)")
    try:
        raw.examine(folder, contract())
    except InsighteraError as error:
        return Finding("raw data", False, str(folder), str(error))
    return Finding("raw data", True, str(folder))
