"""Real dbt builds in folders of their own: nothing a test does touches the clone's `var/`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa
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
        with self.opened(sql) as connection:
            return connection.execute(sql, parameters or {}).fetchall()

    def frame(self, sql: str) -> pd.DataFrame:
        """The same as a frame."""
        with self.opened(sql) as connection:
            return connection.execute(sql).df()

    def opened(self, sql: str) -> duckdb.DuckDBPyConnection:  # noqa: ARG002
        """What a query is asked of."""
        return duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True)


class SparkUniversity(University):
    """The same on Spark: dbt in this process, so that all builds of a test run share one Spark."""

    def build(self, *arguments: str, as_of: str = "", **environment: str) -> str:
        """`dbt build` on Spark, which must be green; what its nodes said, a line each."""
        done = self.invoke(
            "--quiet", "build", *arguments, **{"INSIGHTERA_AS_OF": as_of}, **environment
        )
        said = [
            f"{r.status.upper()} {r.node.name} {r.message}"
            for r in getattr(done.result, "results", [])
        ]
        assert done.success, "\n".join([str(done.exception), *said])
        return "\n".join(said)

    def invoke(self, *arguments: str, **environment: str) -> Any:
        """A dbt command; its dbtRunnerResult."""
        from dbt.cli.main import dbtRunner

        here = self.env(INSIGHTERA_SPARK_PARTITIONS="2", **environment)
        with pytest.MonkeyPatch.context() as patch:
            for name in set(os.environ) - set(here):
                patch.delenv(name)
            for name, value in here.items():
                patch.setenv(name, value)
            patch.chdir(PROJECT)
            return dbtRunner().invoke([*arguments, "--target", "spark"])

    def table(self, schema: str, name: str) -> pa.Table:
        """A table that Spark wrote, read without Spark."""
        from pyiceberg.catalog.sql import SqlCatalog

        lake = self.home / "lake"
        catalog = SqlCatalog(
            "lake", uri=f"sqlite:///{lake / 'catalog.db'}", warehouse=lake.as_uri()
        )
        return catalog.load_table((schema, name)).scan().to_arrow()

    def opened(self, sql: str) -> duckdb.DuckDBPyConnection:
        """The feature tables that a query names."""
        connection = duckdb.connect()
        connection.execute("create schema features")
        for name in FEATURE_TABLES:
            if name in sql:
                connection.register("held", self.table("features", name))
                connection.execute(f"create table features.{name} as from held")
        return connection


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `spark` skip where it is not installed, and run in one process, on one Spark; of
    the others, those of a file stay together."""
    lacking = spark.problems()
    for item in items:
        on_spark = item.get_closest_marker("spark") is not None
        item.add_marker(pytest.mark.xdist_group("spark" if on_spark else str(item.path)))
        if on_spark and lacking:
            item.add_marker(pytest.mark.skip(reason="; ".join(lacking)))


@pytest.fixture(scope="session", autouse=True)
def small_spark() -> None:
    """What Spark is told once, before it starts: builds of a test are many, and tiny."""
    os.environ["INSIGHTERA_SPARK_PARTITIONS"] = "2"
    # the optimizing compiler would take more time than it saves
    quick = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
    os.environ.setdefault("JDK_JAVA_OPTIONS", quick)


@pytest.fixture(scope="module")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    """The project's Spark session in this process, on a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSIGHTERA_HOME", str(tmp_path_factory.mktemp("spark-home")))
        patch.delenv("INSIGHTERA_RAW", raising=False)
        yield spark.session()


def rewrite(raw: Path, out: Path, table: str, sql: str) -> Path:
    """A copy of a raw folder in which `table` (`<source>/<table>`) is `sql` over the old rows, `rows`."""
    if not out.exists():
        shutil.copytree(raw, out)
    target = out / f"{table}.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"create table rows as from read_parquet('{target}')")
        connection.execute(f"copy ({sql}) to '{target}' (format parquet)")
    return out
