"""A small university after its features are built: what the thin dbt models hand to scoring.

Used by the tests of scoring, publishing and predictions, and, in processes of their own, by those
that kill them. Everything is real: DuckDB relations, a trained and registered model, Iceberg.
"""

import atexit
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from ml.core.frames import to_arrow, to_spark
from ml.engine import spark_session as spark

NAME = "student_dropout"
TABLE = "student_dropout_risk"
FIRST = datetime(2024, 2, 1)  # as_of of the first build
LATER = datetime(2024, 2, 8)  # a week later, a tenth of the students has new features
FEATURES = ("gpa_cumulative", "credits", "is_working", "academic__trend", "clicks_7d", "jalur")
KINDS = dict.fromkeys(FEATURES, "number") | {"jalur": "category"}

IMPORTED = [
    "task_worlds",
    "ml.tasks.explain",
    "ml.features",
    "ml.publishing",
    "ml.registry",
    "ml.training.procedure",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pyiceberg.catalog.sql",
    "shap",
]

META = {
    "task": "classification",
    "outcome": "dropout",
    "entity_keys": ["nim"],
    "horizon_days": 180,
    "features": ["features_mahasiswa_academic", "features_mahasiswa_engagement"],
    "mandatory": ["gpa_cumulative"],
    "excluded": [],
    "max_features": 20,
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "grid": {"max_leaf_nodes": [7]},
    "cv_folds": 3,
    "max_rows": 1000,
    "thresholds": {"Low": 0.0, "Medium": 0.3, "High": 0.6},
    "promotion": {"metric": "roc_auc", "minimum": 0.5, "margin": 0.01, "max_milliseconds": 1000},
    "retrain": {"policy": "never", "max_age_days": 90},
    "output_table": TABLE,
    "attributes_from": "dim_mahasiswa_current",
    "attributes": ["nama_mahasiswa", "prodi_nama", "angkatan"],
}


@dataclass(frozen=True)
class World:
    """`students` students; those whose number is a multiple of `every` change on 5 February.

    Other questions have worlds of their own (`task_worlds`), where `students` counts their entities.
    """

    students: int = 300
    every: int = 10
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect, compare=False)
    name: ClassVar[str] = NAME
    table: ClassVar[str] = TABLE
    asked: ClassVar[str] = "label"  # the table of its questions
    keys: ClassVar[tuple[str, ...]] = ("nim",)  # of an answer
    answers: ClassVar[int] = 1  # predictions of an entity at one instant

    def __post_init__(self) -> None:
        self.make()

    def make(self) -> None:
        """Its tables, on `connection`."""
        make_tables(self.connection, self.students, self.every)

    def meta(self) -> dict[str, Any]:
        """The use case's."""
        return META

    def build(self, as_of: datetime, run_id: str, **changes: Any) -> Any:
        """`this_build`, the use case's meta changed as told; what is told to be `...` is left out."""
        meta = {key: told for key, told in (self.meta() | changes).items() if told is not ...}
        return self.held(
            self.connection.sql(
                """
                select
                    $as_of::timestamp as as_of, $run as run_id, $cases as use_cases, $no as protected
                """,
                params={
                    "as_of": as_of,
                    "run": run_id,
                    "cases": json.dumps({self.name: meta}),
                    "no": json.dumps(["gender"]),
                },
            )
        )

    def spine(self, as_of: datetime) -> Any:  # noqa: ARG002
        """The label's rows as a build at `as_of` has them."""
        return self.held(self.connection.table("label"))

    def features(self) -> dict[str, Any]:
        """The feature tables, by the names that the thin models give them."""
        return {name: self.held(self.connection.table(name)) for name in ("academic", "engagement")}

    def relations(self, as_of: datetime) -> dict[str, object]:
        """The rest of what `score` takes."""
        return {
            "spine": self.spine(as_of),
            "features": self.features(),
            "attributes": self.held(self.connection.table("dim")),
            "connection": self.session(),
        }

    def score(self, as_of: datetime, run_id: str, **options: int) -> pa.Table:
        """The scoring model of this run."""
        from ml import scoring

        made = self.build(as_of, run_id)
        return scoring.score(self.name, build=made, **self.relations(as_of), **options)

    def publish(self, as_of: datetime, run_id: str, audited: pa.Table) -> pa.Table:
        """The publishing model of this run."""
        from ml import publishing

        return publishing.publish(
            self.name,
            build=self.build(as_of, run_id),
            audited=self.frame(audited),
            connection=self.session(),
        )

    def receipts(self, as_of: datetime, run_id: str) -> pa.Table:
        """The receipts model of this run."""
        from ml import publishing

        return publishing.receipts(build=self.build(as_of, run_id))

    def run(self, as_of: datetime, run_id: str, **options: int) -> pa.Table:
        """One build: score, publish, receipts; the published predictions."""
        audited = self.score(as_of, run_id, **options)
        published = self.publish(as_of, run_id, audited)
        self.receipts(as_of, run_id)
        return published

    def frame(self, rows: pa.Table) -> Any:
        """Rows as what dbt hands to a Python model."""
        return self.connection.from_arrow(rows)

    def held(self, relation: duckdb.DuckDBPyRelation) -> Any:
        """A relation of `connection` as what dbt hands to a Python model."""
        return relation

    def session(self) -> Any:
        """What dbt passes as `session`."""
        return self.connection


class OnSpark(World):
    """The same tables as frames of a Spark session on the home that is set now."""

    def score(self, as_of: datetime, run_id: str, **options: int) -> pa.Table:
        return self.ordered(super().score(as_of, run_id, **options))

    def publish(self, as_of: datetime, run_id: str, audited: pa.Table) -> pa.Table:
        return self.ordered(super().publish(as_of, run_id, audited))

    def ordered(self, rows: Any) -> pa.Table:
        """Spark keeps no order."""
        return to_arrow(rows, "predictions").sort_by([(key, "ascending") for key in self.keys])

    def frame(self, rows: pa.Table) -> Any:
        return to_spark(rows, self.session())

    def held(self, relation: duckdb.DuckDBPyRelation) -> Any:
        return self.frame(relation.to_arrow_table())

    def session(self) -> Any:
        return spark.session()


class SparkWorld(OnSpark):
    """Dropout on Spark."""


def make_tables(connection: duckdb.DuckDBPyConnection, students: int, every: int) -> None:
    """`label`, `academic`, `engagement`, `dim`, deterministic."""
    random = np.random.default_rng(7)
    connection.register(
        "drawn",
        pa.table(
            {
                "i": np.arange(students),
                "gpa": np.where(
                    random.random(students) < 0.1, None, random.normal(3, 0.5, students)
                ),
                "credits": random.integers(0, 144, students),
                "working": random.random(students) < 0.3,
                "trend": random.normal(size=students),
                "clicks": random.poisson(20, students),
                "jalur": random.choice(["SNBP", "SNBT", "mandiri"], students),
            }
        ),
    )
    connection.execute(
        f"""
        create table dim as
        select
            'S' || i as nim,
            'Mahasiswa "' || i || '"' as nama_mahasiswa,
            'Prodi ' || i % 7 as prodi_nama,
            cast(2020 + i % 4 as integer) as angkatan
        from drawn;
        create table label as
        select 'S' || i as nim, cutoff, cast(null as integer) as label
        from drawn
        cross join (values (timestamp '2024-02-01'), (timestamp '2024-02-08')) as t (cutoff)
        union all
        select 'gone', timestamp '2023-06-01', 1;
        create table versions as
        select
            i,
            valid_from,
            case
                when valid_from < timestamp '2024-02-05' and i % {every} = 0
                    then timestamp '2024-02-05'
                else timestamp '9999-12-31'
            end as valid_to,
            valid_from = timestamp '2024-02-05' as is_changed
        from drawn
        cross join (values (timestamp '2024-01-01'), (timestamp '2024-02-05')) as t (valid_from)
        where valid_from < timestamp '2024-02-05' or i % {every} = 0;
        create table academic as
        select
            'S' || i as nim, valid_from, valid_to,
            gpa - if(is_changed, 1.0, 0) as gpa_cumulative, credits, working as is_working, trend,
            valid_to = timestamp '9999-12-31' as is_current,
            valid_from - interval 1 hour as feature_timestamp,
            md5(i || valid_from) as feature_hash,
            valid_from as system_from, timestamp '9999-12-31' as system_to
        from versions join drawn using (i);
        create table engagement as
        select
            'S' || i as nim, valid_from, valid_to,
            clicks as clicks_7d, clicks / 7.0 as trend, jalur,
            valid_to = timestamp '9999-12-31' as is_current,
            valid_from - interval 2 hour as feature_timestamp,
            md5(i || valid_from) as feature_hash,
            valid_from as system_from, timestamp '9999-12-31' as system_to
        from versions join drawn using (i);
        """
    )


def register_models(folder: Path) -> Path:
    """A store with version 1 (champion) and version 2 (challenger) in `folder`; the SQLite file."""
    from ml import registry
    from ml.features import model_input
    from ml.tasks import estimators, sight

    world = World(2000)
    rows = world.connection.sql(
        """
        select
            gpa_cumulative, credits, is_working, academic.trend as academic__trend, clicks_7d, jalur
        from academic join engagement using (nim, valid_from) order by nim, valid_from
        """
    ).to_arrow_table()
    read = model_input.frame(rows, FEATURES)
    random = np.random.default_rng(1)
    signal_ = -2 * (read["gpa_cumulative"].fillna(2.5) - 3) + read["academic__trend"] - 0.5
    label = (random.random(len(read)) < 1 / (1 + np.exp(-signal_))).astype(int)
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "INSIGHTERA_ARTIFACTS": str(folder / "artifacts"),
    }
    before = {key: os.environ.get(key) for key in environment}
    os.environ |= environment
    try:
        for version, leaves in (("1", 7), ("2", 4)):
            model = estimators.pipeline(
                META["estimator"], KINDS, {"max_iter": 20, "max_leaf_nodes": leaves}
            )
            model.fit(read, label)
            (folder / f"notes{version}").mkdir()
            (folder / f"notes{version}" / "note.txt").write_text("made for a test")
            registry.register(
                NAME,
                registry.draft(
                    folder / f"model{version}",
                    model,
                    lambda held: {"probability": held.predict_proba(read.head(1))},
                ),
                verdict=registry.Verdict(version == "1", "test"),
                as_of=FIRST,
                features=FEATURES,
                categorical=["jalur"],
                metrics={"roc_auc": 0.8},
                parameters={},
                artifacts=folder / f"notes{version}",
                tags={},
                sight=sight.of(model),
            )
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
    return folder / "mlflow.db"


@lru_cache(maxsize=1)
def models() -> Path:
    """The store of `register_models`, made once in a test run."""
    folder = Path(tempfile.mkdtemp(prefix="insightera-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return register_models(folder)


def copy_store(home: Path, store: Path | None = None) -> None:
    """A store of its own for `home`, so that a test may promote; the model files are shared."""
    home.mkdir(parents=True, exist_ok=True)
    with (
        sqlite3.connect(store or models()) as source,
        sqlite3.connect(home / "mlflow.db") as target,
    ):
        source.backup(target)


@pytest.fixture(params=[World, pytest.param(SparkWorld, marks=pytest.mark.spark)])
def world_of(request: pytest.FixtureRequest) -> type[World]:
    """A world on each engine."""
    return request.param


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with a champion and no predictions."""
    copy_store(tmp_path / "home")
    use_home(tmp_path / "home", monkeypatch)
    return tmp_path / "home"


def use_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process at a state folder."""
    for name in (
        "MLFLOW_TRACKING_URI",
        "INSIGHTERA_LAKE",
        "INSIGHTERA_CATALOG_URI",
        "INSIGHTERA_RAW",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INSIGHTERA_HOME", str(folder))


def in_process(target: Callable[..., None], *arguments: object) -> int:
    """Run `target` in a process of its own; its exit code, -9 where it was killed.

    The processes are forked from one that has imported everything and started nothing.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(IMPORTED)
    process = processes.Process(target=target, args=arguments)
    process.start()
    process.join(300)
    code = process.exitcode
    if code is None:
        process.kill()
        raise AssertionError("the process neither ended nor died in five minutes")
    return code


def run_and_die(
    home: str,
    made: Callable[[], World],
    as_of: datetime,
    run_id: str,
    phase: str,
    commit: int,
    moment: str,
    batch_rows: int,
) -> None:
    """A build in this process, of the world that is `made`, killed (signal 9) at a commit to the
    Iceberg catalog.

    `phase` is score | publish, `commit` counts the catalog's commits in it from 0, `moment` is
    before | after the real commit. For a process of its own; it ends by itself where there are
    fewer commits.
    """
    from pyiceberg.catalog.sql import SqlCatalog

    os.environ["INSIGHTERA_HOME"] = home
    real = SqlCatalog.commit_table
    counts = {"score": 0, "publish": 0}
    now = {"phase": "score"}

    def deadly(catalog: SqlCatalog, *arguments: object, **named: object) -> object:
        here = now["phase"] == phase and counts[phase] == commit
        counts[now["phase"]] += 1
        if here and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(catalog, *arguments, **named)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    SqlCatalog.commit_table = deadly
    world = made()
    audited = world.score(as_of, run_id, batch_rows=batch_rows)
    now["phase"] = "publish"
    world.publish(as_of, run_id, audited)
    world.receipts(as_of, run_id)
