"""A small published table of every task: two publications, a week apart, as scoring writes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
from scoring_world import FIRST, LATER, META

from ml import engine, lake, tasks
from ml.core.use_case import UseCase
from ml.scoring import step

ROWS = dict[tuple[str, ...], Mapping[str, Any]]  # answer key -> the task's outputs
OF_CLASSIFIERS = ("thresholds",)
SHARED = {key: value for key, value in META.items() if key not in OF_CLASSIFIERS}
FACTORS = [
    {"feature": "clicks_30d", "value": 3, "contribution": 0.1},
    {"feature": "attendance_rate_90d", "value": 0.2, "contribution": 2.5},
    {"feature": "gpa_cumulative", "value": 1.5, "contribution": -4.0},
]
WHY = "Attendance, 7 days: 10 %; usually 75 % to 100 %"


@dataclass(frozen=True)
class Case:
    """A use case, what it said at `FIRST` and at `LATER`, and what a person must find of it."""

    name: str
    meta: Mapping[str, Any]
    spine: str  # SQL of no row: the types of its keys
    first: ROWS
    later: ROWS
    entity: str
    heads: tuple[str, ...]
    shown: tuple[str, ...]  # in the first row of `show` on a wide screen, in this order
    changes: tuple[str, ...]  # in the first row of `diff`
    least: float  # what only that row moved by
    steps: tuple[tuple[str, ...], ...]  # in the rows of `history`

    @property
    def table(self) -> str:
        return str(self.meta["output_table"])

    @property
    def subjects(self) -> list[tuple[str, ...]]:
        """What was ever predicted: of a forecast the entity and its target, whatever the horizon."""
        return sorted({key[:2] for key in (*self.first, *self.later)})

    def publish(self) -> None:
        """Both publications, into the lake of this home."""
        task = tasks.of(UseCase.of(self.name, self.meta, ()))
        with duckdb.connect() as connection, engine.opened(connection) as on:
            attributes = connection.sql("select '' as nama_mahasiswa")
            schema = step.output_schema(on, task, connection.sql(self.spine), attributes)
        lake.ensure(self.table, schema, ["prediction_date"], step._properties(task))
        for as_of, said in ((FIRST, self.first), (LATER, self.later)):
            rows = [
                dict(zip((*task.use_case.entity_keys, *task.target_columns), key, strict=True))
                | dict(outputs)
                | envelope(as_of)
                for key, outputs in said.items()
            ]
            lake.append(self.table, pa.Table.from_pylist(rows, schema), {"run-id": "r"})


def envelope(as_of: datetime) -> dict[str, Any]:
    return {
        "nama_mahasiswa": "Budi",
        "contributing_factors": json.dumps(FACTORS),
        "feature_timestamp": as_of,
        "feature_hash": "h",
        "model_name": "m",
        "model_version": "1",
        "inference_type": "full",
        "run_id": f"run-{as_of:%d}",
        "prediction_timestamp": as_of,
        "prediction_date": as_of.date(),
    }


def risk(probability: float) -> dict[str, Any]:
    category = "High" if probability >= 0.6 else "Low"
    return {
        "risk_score": 100 * probability,
        "dropout_probability": probability,
        "risk_category": category,
        "predicted_dropout": probability >= 0.5,
    }


def about(value: float, lower: float, upper: float) -> dict[str, Any]:
    return {
        "forecasted_enrolment": value,
        "enrolment_lower": lower,
        "enrolment_upper": upper,
        "interval_level": 0.8,
    }


def unusual(score: float) -> dict[str, Any]:
    flagged = score >= 98
    return {
        "anomaly_id": "1a" * 16,
        "domain": "kehadiran",
        "anomaly_type": "absence" if flagged else None,
        "anomaly_score": score,
        "z_score": score / 40,
        "is_anomaly": flagged,
        "severity": "High" if flagged else None,
        "explanation": WHY if flagged else None,
    }


MORE = {"attributes": ["nama_mahasiswa"], "mandatory": []}
CASES = [
    Case(
        name="student_dropout",
        meta=META | MORE | {"output_table": "dropout_risk"},
        spine="select '' as nim",
        first={("S1",): risk(0.2), ("S2",): risk(0.855), ("S3",): risk(0.004)},
        later={("S1",): risk(0.705), ("S2",): risk(0.855), ("S4",): risk(0.1)},
        entity="S1",
        heads=("nim", "dropout", "category", "most of all"),
        shown=("S2", "86 %", "High", "Budi", "Attendance, 90 days: 20 %"),
        changes=("S1", "+50.5", "20 %", "70 %", "Low → High", "changed"),
        least=0.5,
        steps=(("2024-02-01", "20 %", "Low"), ("2024-02-08", "70 %", "+50.5", "High")),
    ),
    Case(
        name="enrolment",
        meta=SHARED
        | MORE
        | {
            "task": "forecast",
            "outcome": "enrolment",
            "entity_keys": ["kode_prodi"],
            "promotion": {"metric": "mae", "margin": 0.0, "max_milliseconds": 50},
            "interval": 0.8,
            "baselines": {"last_value": "active_students"},
            "non_negative": True,
            "unit": "students",
            "output_table": "enrolment_forecast",
        },
        spine="select '' as kode_prodi, '' as target_period, cast(1 as integer) as horizon",
        first={
            ("IF", "2024-1", 1): about(34.2, 28.4, 40.9),
            ("IF", "2024-2", 2): about(31.0, 20.0, 45.0),
            ("XX", "2024-1", 1): about(9.0, 6.0, 12.0),
        },
        later={
            ("IF", "2024-2", 1): about(36.4, 30.0, 43.0),
            ("IF", "2025-1", 2): about(37.0, 25.0, 50.0),
            ("XX", "2024-1", 1): about(9.5, 6.0, 12.0),
        },
        entity="IF",
        heads=("kode_prodi", "target", "enrolment", "most of all"),
        shown=("IF", "2024-1", "34 (28 to 41)", "Budi", "1.5"),
        changes=("IF", "2024-2", "+5.4", "31", "36", "changed"),
        least=5,
        steps=(
            ("2024-1", "2024-02-01", "34 (28 to 41)"),
            ("2024-2", "2", "2024-02-01", "31 (20 to 45)"),
            ("2024-2", "1", "2024-02-08", "36 (30 to 43)", "+5.4"),
            ("2025-1", "2024-02-08", "37 (25 to 50)"),
        ),
    ),
    Case(
        name="attendance",
        meta=SHARED
        | MORE
        | {
            "task": "anomaly",
            "outcome": "attendance_anomaly",
            "promotion": {"metric": "flagged_share", "margin": 0.0, "max_milliseconds": 50},
            "estimator": "sklearn.ensemble.IsolationForest",
            "domain": "kehadiran",
            "flagged_share": 0.02,
            "severities": {"Low": 0, "High": 98},
            "output_table": "attendance_anomalies",
        },
        spine="select '' as nim",
        first={("S1",): unusual(40.0), ("S2",): unusual(98.5)},
        later={("S1",): unusual(99.25), ("S2",): unusual(97.0)},
        entity="S1",
        heads=("nim", "score", "severity", "why"),
        shown=("S1", "99.2", "High", "Budi", WHY),
        changes=("S1", "+59.2", "40.0", "99.2", "none → High", "changed"),
        least=50,
        steps=(("2024-02-01", "40.0"), ("2024-02-08", "99.2", "+59.2", "High", WHY)),
    ),
]
