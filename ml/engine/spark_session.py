"""The Spark session of a home: its catalog is the project's Iceberg catalog `lake`.

Spark's tables are `lake.<room>.<table>` (`gold`, `features`, ...), beside the tables of `ml.lake`
(`lake.ml.*`): one catalog, read and written by Spark, PyIceberg and DuckDB alike. No name collides:
what DuckDB builds in its file is, on Spark, in the rooms' own namespaces.

This module imports pyspark only where it is asked for a session.
"""

import importlib.util
import os
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import raw
from ml.core import build_lock, settings
from ml.core.errors import InsighteraError
from ml.raw.files import contract

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CATALOG = "lake"
SQLITE_DRIVER = Path("/usr/share/java/sqlite-jdbc.jar")
INSTALL_JAVA = "apt-get install -y openjdk-17-jre-headless libxerial-sqlite-jdbc-java"
INSTALL_SPARK = "make install-spark"

_opening = threading.Lock()
_sessions: dict[Path, "SparkSession"] = {}  # by home


def problems() -> list[str]:
    """What this machine lacks for Spark, each with the command that gets it; empty where nothing."""
    found = []
    if importlib.util.find_spec("pyspark") is None or not _has_adapter():
        found.append(f"The Spark packages are not installed. Run `{INSTALL_SPARK}`.")
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        found.append(f"Spark needs Java 17. On Debian: `{INSTALL_JAVA}`.")
    if not os.environ.get("INSIGHTERA_SPARK_PACKAGES"):
        if not _jars() and importlib.util.find_spec("pyspark") is not None:
            found.append(
                "No Iceberg runtime jar: set INSIGHTERA_SPARK_JARS to it, or INSIGHTERA_SPARK_PACKAGES "
                "to Maven coordinates (org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.2)."
            )
        if settings.catalog_uri().startswith("sqlite") and not _drivers():
            found.append(
                f"No JDBC driver for SQLite ({SQLITE_DRIVER}). On Debian: `{INSTALL_JAVA}`; "
                "elsewhere, name a jar in INSIGHTERA_JDBC_JARS."
            )
    return found


def session(extra: Mapping[str, str] | None = None) -> "SparkSession":
    """The home's session, started by the first call; `extra` is configuration on top of the
    project's.

    Sessions of several homes, one after another, share one Spark: what configures the machine
    is the first one's. Raises InsighteraError that says what is missing on this machine.
    """
    with _opening:
        home = settings.home()
        if home not in _sessions:
            lacking = problems()
            if lacking:
                raise InsighteraError("Spark cannot start.\n" + "\n".join(lacking))
            _sessions[home] = _start(extra or {})
        return _sessions[home]


def describe(work: str) -> None:
    """Name what this thread asks of Spark from now on, where Spark runs."""
    started = _sessions.get(settings.home())
    if started is not None:
        started.sparkContext.setJobDescription(work)


def open_build(extra: Mapping[str, str] | None = None) -> "SparkSession":
    """As `session`, for a build: takes the home's build lock and brings in `$INSIGHTERA_RAW`."""
    with _building:
        if settings.home() in _built_here:
            return session()
        build_lock.take()
        started = session(extra)
        _open_raw(started)
        _built_here.add(settings.home())
        return started


def close_build() -> None:
    """The build is over: another may begin, in this process too."""
    with _building:
        if settings.home() in _built_here:
            _built_here.discard(settings.home())
            build_lock.release()


_building = threading.Lock()
_built_here: set[Path] = set()


def configuration() -> dict[str, str]:
    """Spark's settings for the project's state, each overridden by a profile or `INSIGHTERA_SPARK_*`."""
    catalog = f"spark.sql.catalog.{CATALOG}"
    lake = settings.lake()
    jars = [*_jars(), *_drivers()]
    conf = {
        "spark.app.name": "insightera",
        "spark.master": _master(),
        "spark.driver.memory": os.environ.get("INSIGHTERA_MEMORY", "").lower().removesuffix("b")
        or "4g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.extensions": (
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
        ),
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "jdbc",
        f"{catalog}.jdbc.schema-version": "V1",
        # PyIceberg makes the catalog's tables. Iceberg's own look for them leaves a statement open,
        # and so a lock on an SQLite file that no other connection can ever write again.
        f"{catalog}.jdbc.init-catalog-tables": "false",
        f"{catalog}.warehouse": lake if "://" in lake else Path(lake).absolute().as_uri(),
        f"{catalog}.default-namespace": "main",
        # another process's commits show at once
        f"{catalog}.cache-enabled": "false",
        **{f"{catalog}.{key}": value for key, value in _jdbc(settings.catalog_uri()).items()},
        "spark.sql.defaultCatalog": CATALOG,
        "spark.sql.catalogImplementation": "in-memory",
        # The project's instants are UTC without a zone, as in DuckDB.
        "spark.sql.timestampType": "TIMESTAMP_NTZ",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # On one machine, planning anew after every stage takes longer than the stages themselves.
        "spark.sql.adaptive.enabled": str(not _is_local()).lower(),
        # small universities are most universities: Spark's 200 tasks per shuffle would cost minutes
        "spark.sql.shuffle.partitions": os.environ.get("INSIGHTERA_SPARK_PARTITIONS", "")
        or str(2 * (os.cpu_count() or 2)),
        "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        "spark.pyspark.python": sys.executable,
        "spark.pyspark.driver.python": sys.executable,
        "spark.executorEnv.PYTHONPATH": str(settings.PROJECT),
        "spark.python.daemon.module": "ml.spark_daemon",
    }
    if jars:
        conf["spark.driver.extraClassPath"] = os.pathsep.join(map(str, jars))
        conf["spark.jars"] = ",".join(str(path) for path in jars)
    packages = os.environ.get("INSIGHTERA_SPARK_PACKAGES", "")
    if packages:
        conf["spark.jars.packages"] = packages
    return conf


def relations(schema: str) -> list[tuple[str, str]]:
    """Names in a namespace with `table` or `view`; none where there is no such namespace."""
    spark = session()
    if not spark.catalog.databaseExists(schema):
        return []
    tables = [row["tableName"] for row in spark.sql(f"show tables in `{schema}`").collect()]
    views = {row["viewName"] for row in spark.sql(f"show views in `{schema}`").collect()}
    named = [(name, "table") for name in tables if name not in views]
    return sorted([*named, *((name, "view") for name in views)])


def load_csv(schema: str, name: str, path: str | Path) -> None:
    """The table `schema.name` out of a CSV file with a header: every column text, empty is NULL."""
    file = Path(path).resolve().as_uri()
    read = session().read.csv(file, header=True, escape='"', multiLine=True, inferSchema=False)
    read.writeTo(f"{schema}.{name}").using("iceberg").createOrReplace()


def _start(extra: Mapping[str, str]) -> "SparkSession":
    from pyspark.sql import SparkSession

    from ml import lake

    lake.tables()  # makes the folder, the catalog and its namespace
    settled = {**configuration(), **extra}
    if (
        _sessions
    ):  # of another home: Spark runs, and asks a session for its catalog when it needs it
        spark = next(iter(_sessions.values())).newSession()
        for key, value in settled.items():
            if key.startswith(f"spark.sql.catalog.{CATALOG}"):
                spark.conf.set(key, value)
    else:
        builder = SparkSession.builder
        for key, value in settled.items():
            builder = builder.config(key, value)
        os.environ["PYSPARK_PYTHON"] = sys.executable
        spark = builder.getOrCreate()
        spark.sparkContext.setLogLevel(os.environ.get("INSIGHTERA_SPARK_LOG", "ERROR"))
    spark.sql("create namespace if not exists main")
    return spark


def _open_raw(spark: "SparkSession") -> None:
    """`$INSIGHTERA_RAW` as the tables that the sources name: Iceberg, read again where a file
    changed."""
    folder = settings.raw()
    if folder is None:
        return
    tables = raw.table_files(folder, contract())
    raw.refuse_vanished(
        {
            table.path
            for table, found in tables
            if found.path is None
            and _stamp(spark, f"raw_{table.source}", table.name) not in (None, "absent")
        }
    )
    for table, found in tables:
        schema, path = f"raw_{table.source}", found.path
        stamp = "absent" if path is None else f"{path.stat().st_size}-{path.stat().st_mtime_ns}"
        if _stamp(spark, schema, table.name) == stamp:
            continue
        spark.sql(f"create namespace if not exists `{schema}`")
        frame = _raw_frame(spark, table.columns, found)
        writer = frame.writeTo(f"`{schema}`.`{table.name}`").using("iceberg")
        writer.tableProperty("insightera.file", stamp).createOrReplace()


def _raw_frame(spark: "SparkSession", columns: Sequence[Any], found: "raw.Found") -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    words = {"varchar": "string", "timestamp": "timestamp_ntz", "integer": "int"}
    if found.path is None:
        kinds = ", ".join(f"`{c.name}` {words.get(c.data_type, c.data_type)}" for c in columns)
        return spark.createDataFrame([], kinds)
    uri = found.path.as_uri()
    if found.path.suffix == ".parquet":
        read = spark.read.parquet(uri)
    else:
        read = spark.read.csv(uri, header=True, escape='"', multiLine=True, inferSchema=False)
    read = read.toDF(*[f"column_{place}" for place in range(len(read.columns))])
    return read.select(
        *[
            F.col(f"column_{found.places[c.name]}").alias(c.name)
            if c.name in found.places
            else F.lit(None).cast(words.get(c.data_type, c.data_type)).alias(c.name)
            for c in columns
        ]
    )


def _stamp(spark: "SparkSession", schema: str, name: str) -> str | None:
    if (name, "table") not in relations(schema):
        return None
    rows = spark.sql(f"show tblproperties `{schema}`.`{name}`").collect()
    return next((row["value"] for row in rows if row["key"] == "insightera.file"), None)


def _master() -> str:
    return os.environ.get("INSIGHTERA_SPARK_MASTER", "") or "local[*]"


def _is_local() -> bool:
    return _master().startswith("local")


def _jdbc(address: str) -> dict[str, str]:
    """A SQLAlchemy address as the catalog's JDBC settings."""
    from sqlalchemy.engine import make_url

    url = make_url(address)
    kind = url.get_backend_name()
    if kind == "sqlite":
        return {
            "uri": f"jdbc:sqlite:file:{Path(url.database or '').absolute()}",
            "jdbc.busy_timeout": "60000",  # PyIceberg writes the same file
            "clients": "1",  # SQLite has one writer: its connections would only wait for each other
        }
    where = f"{url.host}:{url.port}" if url.port else str(url.host)
    login = {"jdbc.user": url.username, "jdbc.password": url.password}
    return {
        "uri": f"jdbc:{kind}://{where}/{url.database}",
        **{key: str(value) for key, value in login.items() if value},
    }


def _jars() -> list[Path]:
    """The Iceberg runtime: `$INSIGHTERA_SPARK_JARS`, else the one that came with the Spark lock."""
    named = os.environ.get("INSIGHTERA_SPARK_JARS", "")
    if named:
        return [Path(path) for path in named.split(",")]
    package = importlib.util.find_spec("snowpark_connect_deps_iceberg")
    if package is None or package.origin is None:
        return []
    return sorted(Path(package.origin).parent.glob("jars/iceberg-spark-runtime-3.5_2.12-*.jar"))


def _drivers() -> list[Path]:
    """JDBC drivers of the catalog: `$INSIGHTERA_JDBC_JARS`, else Debian's for SQLite."""
    named = os.environ.get("INSIGHTERA_JDBC_JARS", "")
    if named:
        return [Path(path) for path in named.split(",")]
    return [SQLITE_DRIVER] if SQLITE_DRIVER.exists() else []


def _has_adapter() -> bool:
    try:
        return importlib.util.find_spec("dbt.adapters.icespark") is not None
    except ModuleNotFoundError:
        return False
