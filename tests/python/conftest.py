"""Real dbt builds in folders of their own: nothing a test does touches the clone's `var/`."""

import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from oracles import TABLES

from benchmarks.dbt_build import PROJECT
from benchmarks.dbt_build import environment as build_environment
from ml.core import builds
from ml.engine import spark_session as spark
from ml.raw.demo.generate import generate

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog
    from pyspark.sql import SparkSession

FEATURE_TABLES = tuple(table.name for table in TABLES)
UNTESTED = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
EARLIER, LATER = datetime(2024, 3, 16), datetime(2024, 6, 1, 10, 30)  # the builds of `engines`
ENOUGH = 120  # students: of fewer, no model is promoted


@contextmanager
def within(
    folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """This process as one started in a folder with an environment; gives what it prints, to stdout
    and to stderr.
    """
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        yield out, err


def run_dbt(
    project: Path, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run dbt in the folder of its project, and in this process: it takes seconds to import, and
    Spark more to start. Returns what it printed and its exit code.
    """
    command = ["--no-use-colors", *arguments]
    with within(project, environment) as (out, err):
        done = builds.run_dbt(*command)
    code = 0 if done.success else 1 if done.exception is None else 2
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


@dataclass
class University:
    """A raw folder and a home, and dbt run over them as a person would."""

    home: Path
    raw: Path | None
    target: Path
    environment: dict[str, str] = field(default_factory=dict)
    choice: tuple[str, ...] = ()  # of the target, after a command

    def dbt(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run dbt; returns what it printed and its exit code."""
        return run_dbt(PROJECT, self.env(**environment), *arguments, *self.choice)

    def env(self, **environment: str) -> dict[str, str]:
        """The environment of a build here, without the test run's own settings."""
        own = {
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(self.target),
            "DBT_LOG_LEVEL_FILE": "none",
        }
        return build_environment(self.home, self.raw, **(own | self.environment | environment))

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


@dataclass
class SparkUniversity(University):
    """The same on Spark; all builds of a test run share one."""

    environment: dict[str, str] = field(
        default_factory=lambda: {"INSIGHTERA_SPARK_PARTITIONS": "2"}
    )
    choice: tuple[str, ...] = ("--target", "spark")

    def catalog(self) -> "SqlCatalog":
        """Where its tables are, without Spark."""
        from pyiceberg.catalog.sql import SqlCatalog

        lake = self.home / "lake"
        return SqlCatalog("lake", uri=f"sqlite:///{lake / 'catalog.db'}", warehouse=lake.as_uri())

    def table(self, schema: str, name: str) -> pa.Table:
        """A table that Spark wrote, read without Spark."""
        return self.catalog().load_table((schema, name)).scan().to_arrow()

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


@pytest.fixture(scope="session")
def late_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A university that trains a model, where an older version of some students comes late, between
    EARLIER and LATER, and has them in another programme; so do a version with another region, and
    some grades and censuses. Courses are repeated, some have no credits, or are recorded after the
    first grades; assignments are handed in again, and marked or not. To every fourth meeting of a
    course many come in the same minutes. Some programmes are counted by the registrar after they
    were counted from study plans, or not by new students."""
    folder = tmp_path_factory.mktemp("raw")
    generate(ENOUGH, 3, folder / "enough", file_format="parquet")
    out = folder / "late"
    rewrite(
        folder / "enough",
        out,
        "siakad/nilai",
        """
        select * from rows
        union all by name
        (select distinct on (nim, kode_mk) * replace (
            '2023-1' as semester,
            timestamp '2024-01-20 08:00' as recorded_at,
            if(hash(nim) % 3 = 0, timestamp '2024-03-18 09:00', timestamp '2024-01-20 08:00') as loaded_at,
            if(hash(kode_mk) % 3 = 0, 0.0, 3.0) as bobot
        )
        from rows where semester < '2023-1' and (bobot <= 1 or hash(nim, kode_mk) % 5 = 0)
        order by nim, kode_mk, semester)
        """,
    )
    rewrite(
        out,
        out,
        "siakad/mata_kuliah",
        """
        select * replace (
            if(hash(kode_mk) % 9 = 0, null, sks) as sks,
            if(hash(kode_mk) % 9 = 1, timestamp '2023-01-10', recorded_at) as recorded_at,
            if(hash(kode_mk) % 9 = 1, timestamp '2023-01-10', loaded_at) as loaded_at
        )
        from rows
        """,
    )
    late, recorded = "timestamp '2024-03-18 09:00'", "timestamp '2024-01-20 08:00'"
    rewrite(
        out,
        out,
        "siakad/registrasi_prodi",
        f"""
        select * replace (
            if(semester = '2018-2' and kode_prodi <> 'AK', null, jumlah_baru) as jumlah_baru,
            if(semester = '2022-2' and kode_prodi < 'N', {recorded}, recorded_at) as recorded_at,
            case
                when semester = '2022-2' and kode_prodi < 'N' then {recorded}
                when semester = '2023-1' and kode_prodi > 'M' then {late}
                else loaded_at
            end as loaded_at
        )
        from rows
        """,
    )
    rewrite(
        out,
        out,
        "presensi/kehadiran_mahasiswa",
        """
        select * replace (
            if(
                loaded_at = recorded_at and pertemuan_ke % 4 = 0,
                tanggal + interval (hash(nim) % 5) minute,
                recorded_at
            ) as recorded_at
        )
        from rows
        """,
    )
    again = """
        select * replace (
            waktu_kumpul + interval {days} day as waktu_kumpul, {mark} as skor,
            recorded_at + interval {days} day as recorded_at, recorded_at + interval {days} day as loaded_at
        )
        from rows where skor is not null and hash(nim, id_tugas) % {share} = 0
    """
    rewrite(
        out,
        out,
        "lms/pengumpulan",
        f"""
        select * from rows
        union all by name
        {again.format(days=2, mark="null", share=7)}
        union all by name
        {again.format(days=5, mark="least(skor + 9, 100)", share=14)}
        """,
    )
    return rewrite(
        out,
        out,
        "siakad/mahasiswa",
        """
        select * from rows
        union all by name
        select first.* replace (
            (select min(kode_prodi) from rows where kode_prodi <> first.kode_prodi) as kode_prodi,
            berlaku_sejak - interval 3 day as berlaku_sejak,
            recorded_at - interval 3 day as recorded_at,
            timestamp '2024-03-18 09:00' as loaded_at
        )
        from (select distinct on (nim) * from rows order by nim, recorded_at) as first
        where hash(nim) % 5 = 0
        union all by name
        select last.* replace (
            (select min(wilayah) from rows where wilayah <> last.wilayah) as wilayah,
            timestamp '2023-11-01' as berlaku_sejak,
            timestamp '2023-11-02 08:00' as recorded_at,
            timestamp '2024-03-18 09:00' as loaded_at
        )
        from (
            select distinct on (nim) * from rows where recorded_at < '2023-11-01'
            order by nim, recorded_at desc
        ) as last
        where status = 'active' and hash(nim) % 7 = 0
        """,
    )


@pytest.fixture(scope="session")
def engines(
    late_raw: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[University, SparkUniversity]:
    """One home, built by both engines at EARLIER and then, incrementally, at LATER: rows recorded
    before the one and loaded after it correct what it made. With one champion, whose predictions
    each engine makes and publishes by itself.
    """
    folder = tmp_path_factory.mktemp("engines")
    on_duckdb = University(folder / "home", late_raw, folder / "duckdb-target")
    on_spark = SparkUniversity(folder / "home", late_raw, folder / "spark-target")
    only_sql = ("--select", "+path:models/gold", "+path:models/features", "+path:models/labels")
    on_duckdb.build(*only_sql, *UNTESTED, as_of=str(EARLIER))
    on_duckdb.build(*UNTESTED, as_of=str(LATER))
    for name in ("student_dropout_risk", "receipts"):
        on_spark.catalog().drop_table(("ml", name))
    on_spark.build(*only_sql, *UNTESTED, as_of=str(EARLIER))
    on_spark.build(as_of=str(LATER))  # data tests and unit tests included: `make build-spark`
    return on_duckdb, on_spark


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's manifest of the project, with sources for raw data: what `make docs` starts from. Who
    asks for it is in the group of that name.
    """
    folder = tmp_path_factory.mktemp("parse")
    here = University(folder / "home", None, folder / "target")
    done = here.dbt("docs", "generate", "--empty-catalog")
    assert done.returncode == 0, done.stdout
    return folder / "target" / "manifest.json"


@pytest.fixture
def university(tmp_path: Path) -> Callable[[Path | None], University]:
    """Make a fresh home over a raw folder; each gets a target folder of its own."""

    def make(raw: Path | None, name: str = "home") -> University:
        return University(tmp_path / name, raw, tmp_path / f"{name}-target")

    return make


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `spark` skip where it is not installed, and run in one process, on one Spark; of
    the others, those of a file stay together, or of a group that they name."""
    lacking = spark.problems()
    for item in items:
        on_spark = item.get_closest_marker("spark") is not None
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("spark" if on_spark else str(item.path)))
        if on_spark and lacking:
            item.add_marker(pytest.mark.skip(reason="; ".join(lacking)))


@pytest.fixture(scope="session", autouse=True)
def small_spark(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What Spark is told once, before it starts: builds of a test are many, and tiny, so that most
    of what compilers do is more than it saves; and the same, so that what was compiled is kept."""
    os.environ["INSIGHTERA_SPARK_PARTITIONS"] = "2"
    quick = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC -Xmn600m"
    os.environ.setdefault("JDK_JAVA_OPTIONS", quick)
    folder = tmp_path_factory.mktemp("spark-conf")
    (folder / "spark-defaults.conf").write_text(
        "spark.sql.codegen.wholeStage false\nspark.sql.codegen.cache.maxEntries 10000\n"
    )
    os.environ.setdefault("SPARK_CONF_DIR", str(folder))


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
