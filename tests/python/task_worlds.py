"""One small question of each task and one of pairs, over real tables: what every task must do is tested
of all of them.

`QUESTIONS` makes them. A question has a `name`, an instant `asked_at` at which there is enough to learn
from, `build`, `spine`, `features` and a DuckDB `connection`; those that are a `World` score and publish.
"""

import os
import signal
import tempfile
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from longitudinal import University, university
from scoring_world import FIRST, LATER, World, copy_store, models, use_home

from ml import engine, registry, tasks
from ml.core.use_case import Build
from ml.registry import versions
from ml.training import policy
from ml.training import rows as training_rows

COMMON = {
    "excluded": [],
    "max_features": 6,
    "cv_folds": 2,
    "max_rows": 100_000,
    "retrain": {"policy": "auto", "max_age_days": 90},
    "attributes_from": "dim",
    "attributes": ["nama"],
}
ALWAYS = {"policy": "always", "max_age_days": 90}
HELD = """
    valid_to = timestamp '9999-12-31' as is_current,
    valid_from - interval 1 hour as feature_timestamp,
    md5(i || valid_from::varchar) as feature_hash,
    valid_from as system_from, timestamp '9999-12-31' as system_to
"""
# A version lasts until the next of its entity.
FOLLOWED = """
    coalesce(
        lead(valid_from) over (partition by i order by valid_from), timestamp '9999-12-31'
    ) as valid_to
"""


class Enrolment(World):
    """A forecast: how many students `students` programmes will have in each of the next two semesters.

    A first semester of the year has half as many again as a second one, so the last census alone says
    little.
    """

    name: ClassVar[str] = "enrolment_forecast"
    table: ClassVar[str] = "enrolment_forecast"
    keys: ClassVar[tuple[str, ...]] = ("kode_prodi", "target_period")
    answers: ClassVar[int] = 2
    asked: ClassVar[str] = "questions"
    asked_at: ClassVar[datetime] = FIRST
    feature_table: ClassVar[str] = "enrolment"

    def meta(self) -> dict[str, Any]:
        return COMMON | {
            "task": "forecast",
            "outcome": "enrolment",
            "entity_keys": ["kode_prodi"],
            "horizon_days": 182,
            "features": ["features_program_studi_enrolment"],
            "known_ahead": ["horizon", "target_term"],
            "mandatory": ["active_students"],
            "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
            "grid": {"max_iter": [20], "max_leaf_nodes": [4], "min_samples_leaf": [5]},
            "interval": 0.8,
            "baselines": {"last_value": "active_students"},
            "non_negative": True,
            "unit": "students",
            "totals": [2],
            "promotion": {"metric": "mae", "margin": 0.0, "max_milliseconds": 10_000},
            "output_table": self.table,
        }

    def make(self) -> None:
        random = np.random.default_rng(11)
        who, period = map(
            np.ravel, np.meshgrid(np.arange(self.students), np.arange(-10, 3), indexing="ij")
        )
        size = random.integers(20, 200, self.students)[who]
        drawn = size * (1 + 0.5 * (period % 2)) + random.normal(0, 3, len(who))
        census = pa.table({"i": who, "period": period, "students": drawn.round()})
        self.connection.register("drawn", census)
        self.connection.execute(
            f"""
            create table census as
            select
                i, period, students,
                timestamp '{FIRST}' + to_days(182 * period::integer) as counted_at
            from drawn;
            create table dim as
            select distinct 'P' || i as kode_prodi, 'Prodi ' || i as nama from census;
            create table questions as
            with asked as (
                select i, period, counted_at as cutoff from census where period <= 0
                union all select i, period, timestamp '{LATER}' from census where period = 0
            )

            select
                'P' || i as kode_prodi,
                (2024 + truth.period // 2) || '-' || (truth.period % 2 + 2) % 2 + 1 as target_period,
                cast(truth.period - asked.period as integer) as horizon,
                cutoff,
                truth.counted_at as matures_at,
                truth.students as truth,
                cast((truth.period % 2 + 2) % 2 + 1 as integer) as target_term
            from asked
            inner join census as truth using (i)
            where truth.period - asked.period in (1, 2);
            create table enrolment as
            with versions as (
                select i, students, counted_at - interval 1 day as valid_from from census
                where period <= 0
                union all
                select i, students - 3, timestamp '2024-02-05' from census
                where period = 0 and i % {self.every} = 0
            )

            select
                'P' || i as kode_prodi, valid_from, students as active_students,
                students / 7.0 as applicants, {FOLLOWED}, {HELD}
            from versions;
            """
        )

    def spine(self, as_of: datetime) -> Any:
        return self.held(
            self.connection.sql(
                f"""
                select
                    * exclude (truth),
                    case when matures_at <= timestamp '{as_of}' then truth end as label
                from questions
                where cutoff <= timestamp '{as_of}'
                """
            )
        )

    def features(self) -> dict[str, Any]:
        return {self.feature_table: self.held(self.connection.table(self.feature_table))}


class Attendance(World):
    """A search for anomalies: `students` students, week for week, one of whom is far out now and then."""

    name: ClassVar[str] = "attendance_anomaly"
    table: ClassVar[str] = "attendance_anomalies"
    asked: ClassVar[str] = "questions"
    asked_at: ClassVar[datetime] = FIRST
    feature_table: ClassVar[str] = "habit"

    def meta(self) -> dict[str, Any]:
        return COMMON | {
            "task": "anomaly",
            "outcome": "attendance_anomaly",
            "domain": "kehadiran",
            "entity_keys": ["nim"],
            "horizon_days": 7,
            "features": ["features_mahasiswa_habit"],
            "mandatory": ["attendance_change", "record_lag"],
            "estimator": "sklearn.ensemble.IsolationForest",
            "grid": {"n_estimators": [20]},
            "flagged_share": 0.05,
            "severities": {"Low": 0, "Medium": 90, "High": 99},
            "promotion": {
                "metric": "flagged_share",
                "minimum": 0.4,
                "margin": 0.0,
                "max_milliseconds": 10_000,
            },
            "output_table": self.table,
        }

    def make(self) -> None:
        random = np.random.default_rng(13)
        who, week = map(
            np.ravel, np.meshgrid(np.arange(self.students), np.arange(-12, 1), indexing="ij")
        )
        far = np.where((who + week) % 50 == 0, 8.0, 0.0)
        drawn = {
            "i": who,
            "week": week,
            "change": random.normal(size=len(who)) - far,
            "lag": random.gamma(2, 3, len(who)) + 5 * far,
        }
        self.connection.register("drawn", pa.table(drawn))
        self.connection.execute(
            f"""
            create table dim as select distinct 'S' || i as nim, 'Name ' || i as nama from drawn;
            create table questions as
            select
                'S' || i as nim, timestamp '{FIRST}' + to_days(7 * week::integer) as cutoff
            from drawn
            union all
            select distinct 'S' || i, timestamp '{LATER}' from drawn;
            create table habit as
            with versions as (
                select
                    i, change, lag,
                    timestamp '{FIRST}' + to_days(7 * week::integer - 1) as valid_from
                from drawn
                union all
                select i, change - 1, lag, timestamp '2024-02-05' from drawn
                where week = 0 and i % {self.every} = 0
            )

            select
                'S' || i as nim, valid_from, change as attendance_change, lag as record_lag,
                {FOLLOWED}, {HELD}
            from versions;
            """
        )

    def spine(self, as_of: datetime) -> Any:
        asked = f"from questions where cutoff <= timestamp '{as_of}'"
        return self.held(self.connection.sql(asked))

    def features(self) -> dict[str, Any]:
        return {self.feature_table: self.held(self.connection.table(self.feature_table))}


class Collaboration(World):
    """Pairs: which of eight others each of `students` researchers will publish with, the three likeliest
    of them. Whose topics are close and who publish much do; `publication` is of a person, `pair` of two.
    """

    name: ClassVar[str] = "collaboration"
    table: ClassVar[str] = "collaboration_potential"
    keys: ClassVar[tuple[str, ...]] = ("nidn_a", "nidn_b")
    answers: ClassVar[int] = 3
    asked: ClassVar[str] = "questions"
    asked_at: ClassVar[datetime] = FIRST
    horizon: ClassVar[int] = 90

    def meta(self) -> dict[str, Any]:
        return COMMON | {
            "task": "classification",
            "outcome": "collaboration",
            "entity_keys": ["nidn_a", "nidn_b"],
            "join_key_map": {"a": {"nidn": "nidn_a"}, "b": {"nidn": "nidn_b"}},
            "split": "nodes_apart",
            "horizon_days": self.horizon,
            "features": ["features_peneliti_publication", "features_pasangan_topic"],
            "mandatory": ["topic_distance"],
            "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
            "grid": {"max_iter": [20], "max_leaf_nodes": [4, 7]},
            "thresholds": {"Low": 0.0, "High": 0.5},
            "top_k": 3,
            "promotion": {"metric": "roc_auc", "margin": 0.0, "max_milliseconds": 10_000},
            "output_table": self.table,
        }

    def make(self) -> None:
        random = np.random.default_rng(17)
        topic, drive = random.random(self.students), random.random(self.students)
        first, offset, quarter = map(
            np.ravel,
            np.meshgrid(
                np.arange(self.students),
                [-4, -3, -2, -1, 1, 2, 3, 4],
                np.arange(-9, 1),
                indexing="ij",
            ),
        )
        second = (first + offset) % self.students
        distance = np.abs(topic[first] - topic[second])
        logit = 4 * (drive[first] + drive[second]) - 6 * distance - 3
        drawn = {
            "a": first,
            "b": second,
            "quarter": quarter,
            "distance": distance,
            "met": random.random(len(first)) < 1 / (1 + np.exp(-logit)),
        }
        people = {"i": np.arange(self.students), "papers": (10 * drive).round()}
        self.connection.register("drawn", pa.table(drawn))
        self.connection.register("people", pa.table(people))
        self.connection.execute(
            f"""
            create table dim as select 'R' || i as nidn, 'Name ' || i as nama from people;
            create table questions as
            select
                'R' || a as nidn_a, 'R' || b as nidn_b,
                timestamp '{FIRST}' + to_days({self.horizon} * quarter::integer) as cutoff,
                if(met, cutoff + interval 20 day, null) as met_at
            from drawn
            union all
            select 'R' || a, 'R' || b, timestamp '{LATER}', null from drawn where quarter = 0;
            create table publication as
            with versions as (
                select i, papers + quarter as papers,
                    timestamp '{FIRST}' + to_days({self.horizon} * quarter::integer - 1) as valid_from
                from people cross join (select unnest(range(-9, 1)) as quarter)
            )

            select
                'R' || i as nidn, valid_from, papers as pub_count, papers / 2.0 as pub_velocity,
                {FOLLOWED}, {HELD}
            from versions;
            create table topic as
            with versions as (
                select a, b, distance, timestamp '2021-01-01' as valid_from from drawn
                where quarter = 0
                union all
                select a, b, distance / 2, timestamp '2024-02-05' from drawn
                where quarter = 0 and a % {self.every} = 0
            ),

            numbered as (select *, a || '-' || b as i from versions)

            select
                'R' || a as nidn_a, 'R' || b as nidn_b, valid_from, distance as topic_distance,
                {FOLLOWED}, {HELD}
            from numbered;
            """
        )

    def spine(self, as_of: datetime) -> Any:
        return self.held(
            self.connection.sql(
                f"""
                with dated as (
                    select *, cutoff + interval {self.horizon} day as horizon_end from questions
                    where cutoff <= timestamp '{as_of}'
                )

                select
                    nidn_a, nidn_b, cutoff,
                    case
                        when horizon_end <= timestamp '{as_of}'
                            then coalesce(met_at <= horizon_end, false)::integer
                    end as label
                from dated
                """
            )
        )

    def features(self) -> dict[str, Any]:
        return {name: self.held(self.connection.table(name)) for name in ("publication", "topic")}


QUESTIONS: dict[str, Callable[[], University | World]] = {
    "classification": university,
    "forecast": lambda: Enrolment(30),
    "anomaly": lambda: Attendance(60),
    "pairs": lambda: Collaboration(60),
}
WORLDS: dict[str, type[World]] = {
    "classification": World,
    "forecast": Enrolment,
    "anomaly": Attendance,
    "pairs": Collaboration,
}


def train(question: Any, as_of: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """The training model of a build; its decision. `spine`: SQL in place of the label's rows."""
    as_of, run_id = as_of or question.asked_at, changes.pop("run_id", "run-1")
    spine = changes.pop("spine", None)
    (row,) = policy.train(
        question.name,
        build=question.build(as_of, run_id, **changes),
        spine=question.connection.sql(spine) if spine else question.spine(as_of),
        features=question.features(),
        connection=question.connection,
    ).to_pylist()
    return row


def training_set(question: Any, as_of: datetime) -> tuple[Any, pa.Table]:
    """What a build at `as_of` learns from: the rows, and their features."""
    (row,) = question.build(as_of, "run-1").to_arrow_table().to_pylist()
    task = tasks.of(Build.of(row).use_case(question.name))
    with engine.opened(question.connection) as on:
        rows = training_rows.matured(on, question.spine(as_of), task, as_of)
        joined, found = training_rows.training_set(
            on, rows, question.features(), task, question.connection
        )
    return rows, joined.select([*dict.fromkeys([*rows.keys.column_names, *found.kinds])])


@lru_cache(maxsize=1)
def empty_store() -> Path:
    """A model store without models, made once in a test run: of a new one MLflow takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="insightera-none-", dir=models().parent))
    copy_store(folder)
    with pytest.MonkeyPatch.context() as patch:
        use_home(folder, patch)
        versions._client().delete_registered_model(World.name)
    return folder / "mlflow.db"


@lru_cache
def store(task: str) -> Path:
    """A model store with a champion of the task's world, made once in a test run."""
    if task == "classification":
        return models()
    folder = Path(tempfile.mkdtemp(prefix=f"insightera-{task}-", dir=models().parent))
    copy_store(folder)
    with pytest.MonkeyPatch.context() as patch:
        use_home(folder, patch)
        decision = train(QUESTIONS[task]())["decision"]
    assert decision.startswith("promoted"), decision
    return folder / "mlflow.db"


def train_and_die(home: str, task: str, moment: str) -> None:
    """A training in this process that is killed (signal 9): `drafted`, when the model is written and
    no version refers to it; `registered`, when there is a version that has no alias yet.
    """
    os.environ["INSIGHTERA_HOME"] = home

    def die(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "drafted":
        registry.register = die
    else:
        versions._settle = die
    train(QUESTIONS[task](), retrain=ALWAYS)
