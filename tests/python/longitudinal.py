"""A small university in feature tables: weekly cutoffs, dropouts whose signals build up."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import duckdb
import numpy as np
import pandas as pd

HORIZON = 60
META: dict[str, Any] = {
    "task": "classification",
    "outcome": "dropout",
    "entity_keys": ["nim"],
    "horizon_days": HORIZON,
    "features": ["features_mahasiswa_academic", "features_mahasiswa_engagement"],
    "mandatory": ["gpa_cumulative", "submitted_share"],
    "excluded": ["wilayah"],
    "max_features": 6,
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "grid": {"learning_rate": [0.1], "max_iter": [30], "max_leaf_nodes": [4, 7]},
    "cv_folds": 2,
    "max_rows": 100_000,
    "thresholds": {"Low": 0.0, "Medium": 0.3, "High": 0.6},
    "promotion": {"metric": "roc_auc", "minimum": 0.6, "margin": 0.01, "max_milliseconds": 500},
    "retrain": {"policy": "auto", "max_age_days": 90},
    "output_table": "student_dropout_risk",
    "attributes_from": "dim_mahasiswa_current",
    "attributes": ["nama"],
}
PROTECTED = ["jenis_kelamin", "agama"]
START = datetime(2020, 1, 6)


@dataclass(frozen=True)
class University:
    """Tables on `connection`: label_student_dropout, academic, engagement, demographic."""

    connection: duckdb.DuckDBPyConnection
    name: ClassVar[str] = "student_dropout"
    asked_at: ClassVar[datetime] = datetime(2021, 3, 1)  # when there is enough to learn from

    def build(self, as_of: datetime, run_id: str = "run-1", **changes: Any) -> Any:
        """The relation `this_build`, the use case's meta changed as told; what is told to be `...` is
        left out.
        """
        meta = {key: told for key, told in (META | changes).items() if told is not ...}
        row = pd.DataFrame(
            {
                "as_of": [pd.Timestamp(as_of)],
                "run_id": [run_id],
                "use_cases": [json.dumps({self.name: meta})],
                "protected": [json.dumps(PROTECTED)],
            }
        )
        row["as_of"] = row["as_of"].astype("datetime64[us]")
        return self.connection.from_df(row)

    def spine(self, as_of: datetime) -> Any:
        """Weekly cutoffs of active students; a label where the horizon had passed at `as_of`."""
        return self.connection.sql(
            f"""
            with dated as (
                select *, cutoff + interval {HORIZON} day as horizon_end from weeks
            )

            select
                nim,
                cutoff,
                case
                    when horizon_end <= timestamp '{as_of}'
                        then (dropout_at is not null and dropout_at <= horizon_end)::integer
                end as label
            from dated
            where cutoff <= timestamp '{as_of}' and (
                horizon_end <= timestamp '{as_of}'
                or cutoff > timestamp '{as_of}' - interval 7 day
            )
            """
        )

    def features(self) -> dict[str, Any]:
        """The feature tables, by the names that the thin models give them."""
        return {
            name: self.connection.table(name) for name in ("academic", "engagement", "demographic")
        }


def university(students: int = 200, weeks: int = 60, seed: int = 1, noise: int = 4) -> University:
    """Make it: deterministic, `students` over `weeks` weekly cutoffs from START on."""
    rng = np.random.default_rng(seed)
    nim = np.array([f"S{number:06d}" for number in range(students)])
    quality = rng.normal(size=students)
    entry = rng.integers(0, weeks // 3, size=students)
    leaves = rng.random(students) < 1 / (1 + np.exp(1.2 + 1.2 * quality))
    last = np.where(leaves, entry + rng.integers(6, weeks - weeks // 3, size=students), 10**6)

    student, week = np.meshgrid(np.arange(students), np.arange(weeks), indexing="ij")
    student, week = student.ravel(), week.ravel()
    active = (week >= entry[student]) & (week < last[student])
    student, week = student[active], week[active]
    ahead = np.clip(last[student] - week, 0, 12)
    rows = len(student)
    cutoff = np.datetime64(START, "us") + week * np.timedelta64(7, "D")
    dropout = np.datetime64(START, "us") + last * np.timedelta64(7, "D")
    spine = pd.DataFrame(
        {
            "nim": nim[student],
            "cutoff": cutoff,
            "dropout_at": np.where(last[student] < 10**6, dropout[student], np.datetime64("NaT")),
        }
    )
    # valid the day before a cutoff: known by then
    held = pd.DataFrame({"nim": nim[student], "valid_from": cutoff - np.timedelta64(1, "D")})
    held["valid_to"] = (
        held.groupby("nim")["valid_from"].shift(-1).fillna(pd.Timestamp(9999, 12, 31))
    )
    held["is_current"] = held["valid_to"].dt.year == 9999
    held["feature_timestamp"] = held["valid_from"]
    held["feature_hash"] = [f"{number:x}" for number in range(rows)]
    held["system_from"] = held["valid_from"]
    held["system_to"] = np.datetime64("9999-12-31", "us")
    engagement = held.assign(
        active_days_30d=np.round(np.clip(2 * ahead + 4 + rng.normal(0, 3, rows), 0, 30)).astype(
            int
        ),
        submitted_share=np.where(
            rng.random(rows) < 0.2,
            np.nan,
            np.clip(0.5 + 0.04 * ahead + rng.normal(0, 0.1, rows), 0, 1),
        ),
        is_late_often=rng.random(rows) < 0.9 - 0.06 * ahead,
        constant=1.0,
        empty=np.full(rows, np.nan),
        **{f"noise_{number}": rng.normal(size=rows) for number in range(noise)},
    )
    academic = held.assign(
        gpa_cumulative=np.clip(2.8 + 0.5 * quality[student] + rng.normal(0, 0.1, rows), 0, 4),
        semester_start=cutoff.astype("datetime64[D]").astype("datetime64[us]"),
    )
    first = held.groupby("nim").head(1).index
    who = student[first]
    religion = rng.choice(["a", "b"], size=students, p=[0.7, 0.3])
    demographic = held.loc[first].assign(
        valid_to=pd.Timestamp(9999, 12, 31),
        jenis_kelamin=rng.choice(["L", "P"], size=students)[who],
        agama=religion[who],
        wilayah=np.where(religion == "a", "north", "south")[who],
        jalur_masuk=np.where(quality + rng.normal(0, 0.3, students) > 0, "test", "invitation")[who],
        nama=[f"Name {number}" for number in who],
    )
    connection = duckdb.connect()
    for name, table in (
        ("weeks", spine),
        ("academic", academic),
        ("engagement", engagement),
        ("demographic", demographic),
    ):
        for column in table.select_dtypes("datetime").columns:
            table[column] = table[column].astype("datetime64[us]")
        connection.register("incoming", table)
        connection.execute(f"create table {name} as select * from incoming")
        connection.unregister("incoming")
    return University(connection)
