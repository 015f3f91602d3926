"""Real dbt builds in folders of their own: nothing a test does touches the clone's `var/`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from ml import spark
from ml.generate import generate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parents[2]
FEATURE_TABLES = (
    "features_mahasiswa_academic",
    "features_mahasiswa_assessment",
    "features_mahasiswa_attendance",
    "features_mahasiswa_cohort",
    "features_mahasiswa_demographic",
    "features_mahasiswa_engagement",
)


@dataclass
class University:
    """A raw folder and a home, and dbt run over them as a person would."""

    home: Path
    raw: Path | None
    target: Path
    environment: dict[str, str] = field(default_factory=dict)

    def dbt(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run dbt; returns what it printed and its exit code."""
        return subprocess.run(
            [Path(sys.executable).parent / "dbt", "--no-use-colors", *arguments],
            cwd=PROJECT,
            env=self.env(**environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def env(self, **environment: str) -> dict[str, str]:
        """The environment of a build here, without the test run's own settings."""
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("INSIGHTERA_", "DBT_"))
        }
        return inherited | {
            "DBT_PROFILES_DIR": str(PROJECT / "profiles"),
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(self.target),
            "INSIGHTERA_HOME": str(self.home),
            "INSIGHTERA_RAW": "" if self.raw is None else str(self.raw),
            **self.environment,
            **environment,
        }

    def build(self, *arguments: str, as_of: str = "", **environment: str) -> str:
        """`dbt build`, which must be green; returns its output."""
        done = self.dbt("build", *arguments, **{"INSIGHTERA_AS_OF": as_of}, **environment)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple]:
        """Rows of the warehouse, read-only."""
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql, parameters or {}).fetchall()


@pytest.fixture(scope="session")
def small_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw extracts of a university of 40 students, late rows and corrections included."""
    folder = tmp_path_factory.mktemp("raw") / "small"
    generate(40, 3, folder, file_format="parquet")
    return folder


@pytest.fixture
def university(tmp_path: Path) -> Callable[[Path | None], University]:
    """Make a fresh home over a raw folder; each gets a target folder of its own."""

    def make(raw: Path | None, name: str = "home") -> University:
        return University(tmp_path / name, raw, tmp_path / f"{name}-target")

    return make


@pytest.fixture(scope="module")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    """The project's Spark session in this process, on a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSIGHTERA_HOME", str(tmp_path_factory.mktemp("spark-home")))
        patch.delenv("INSIGHTERA_RAW", raising=False)
        patch.setenv("INSIGHTERA_SPARK_PARTITIONS", "2")
        yield spark.session()
        spark.stop()


def rewrite(raw: Path, out: Path, table: str, sql: str) -> Path:
    """A copy of a raw folder in which `table` (`<source>/<table>`) is `sql` over the old rows, `rows`."""
    if not out.exists():
        shutil.copytree(raw, out)
    target = out / f"{table}.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"create table rows as from read_parquet('{target}')")
        connection.execute(f"copy ({sql}) to '{target}' (format parquet)")
    return out
