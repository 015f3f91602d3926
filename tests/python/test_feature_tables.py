"""The invariants of feature tables, over real builds (design §3). Invariant 1 is the dbt test `feature_versions`."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import FEATURE_TABLES, UNTESTED, SparkUniversity, University, rewrite
from conftest import LATER as END

from ml.core.errors import InsighteraError
from ml.core.macros import rendered

pytestmark = pytest.mark.slow

AUDIT = rendered("duckdb", "feature_table/feature_audit_columns").feature_audit_columns()
STEPS = [
    "2023-10-02",
    "2023-10-03",
    "2023-11-15 13:00:00",
    "2024-02-29",
    "2024-03-16",
    "2024-03-19 23:00:00",
]
FEATURES = ("--select", "+path:models/features")
TESTED = (
    "--exclude",
    "resource_type:test,path:models/staging",
    "resource_type:test,path:models/gold",
)


@pytest.fixture(scope="module", params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], University]:
    """Makes a fresh home over a raw folder, for the engine that the tests run on."""
    kind = SparkUniversity if request.param == "spark" else University

    def make(raw: Path) -> University:
        folder = tmp_path_factory.mktemp("features")
        return kind(folder / "home", raw, folder / "target")

    return make


on_duckdb = pytest.mark.parametrize("made", ["duckdb"], indirect=True)


@pytest.fixture(scope="module")
def in_one_go(late_raw: Path, made: Callable[[Path], University]) -> University:
    """Everything built at END, from nothing."""
    here = made(late_raw)
    here.build(*FEATURES, *UNTESTED, as_of=str(END))
    return here


@pytest.fixture(scope="module")
def stepwise(
    request: pytest.FixtureRequest, late_raw: Path, made: Callable[[Path], University]
) -> University:
    """The same in several steps; on Spark, where a build is long, in the two of `engines`."""
    here = made(late_raw)
    if isinstance(here, SparkUniversity):
        return request.getfixturevalue("engines")[1]
    for as_of in STEPS:
        here.build(*FEATURES, *UNTESTED, as_of=as_of)
    assert "PASS feature_versions" in here.build(*FEATURES, *TESTED, as_of=str(END))
    return here


def believed(here: University, table: str, until: datetime | None = None) -> pd.DataFrame:
    """The versions believed now, cut to what is valid before `until`."""
    frame = here.frame(
        f"select * exclude (is_current) from features.{table} where system_to >= '9999-01-01' "
        "order by nim, valid_from"
    )
    if until is not None:
        frame = frame[frame.valid_from < until].reset_index(drop=True)
        frame["valid_to"] = frame.valid_to.clip(upper=until)
    return frame


def test_steps_agree_with_one_go(in_one_go: University, stepwise: University) -> None:
    """Invariant 2: built in any steps up to T, rows loaded late included, the beliefs of now agree."""
    for table in FEATURE_TABLES:
        pd.testing.assert_frame_equal(believed(stepwise, table), believed(in_one_go, table))
    # the steps did meet late rows: otherwise this test would show nothing
    late = stepwise.query(
        "select count(*) from features.features_mahasiswa_attendance where system_to < '9999-01-01'"
    )
    assert late[0][0] > 0


@on_duckdb
def test_beliefs_of_a_step_are_those_of_a_build_then(
    stepwise: University, late_raw: Path, made: Callable[[Path], University]
) -> None:
    """Also what a second build does at the same instant, and one at an earlier: nothing, and go back."""
    then = made(late_raw)
    then.build(*FEATURES, *UNTESTED, as_of="2023-11-15 13:00:00")
    for table in FEATURE_TABLES:
        beliefs = stepwise.query(
            f"select nim, feature_hash from features.{table} where system_from < $known "
            "and system_to >= $known and valid_from <= $known and valid_to > $known order by nim",
            {"known": datetime(2023, 11, 15, 13)},
        )
        assert beliefs == then.query(
            f"select nim, feature_hash from features.{table} where is_current order by nim"
        ), table

    # a version that no late row touched is believed at its own first midnight
    on_time = stepwise.query(
        "select avg(cast(system_from < valid_from as integer)) "
        "from features.features_mahasiswa_engagement"
    )
    assert on_time[0][0] > 0.5

    # the same build again does nothing
    before = {
        table: stepwise.query(f"select * from features.{table} order by all")
        for table in FEATURE_TABLES
    }
    assert "UP TO DATE" in stepwise.build(*FEATURES, *UNTESTED, as_of=str(END))
    for table in FEATURE_TABLES:
        assert before[table] == stepwise.query(f"select * from features.{table} order by all")

    # back to an earlier instant: what was known then
    stepwise.build(*FEATURES, *UNTESTED, as_of="2023-11-15 13:00:00")
    for table in FEATURE_TABLES:
        pd.testing.assert_frame_equal(believed(stepwise, table), believed(then, table))


def test_future_rows_change_nothing(
    in_one_go: University, late_raw: Path, tmp_path: Path, made: Callable[[Path], University]
) -> None:
    """Invariant 3: rows recorded at or after t, changed, dropped or added, leave what is valid before t alone."""
    instant = datetime(2024, 1, 15)
    late = f"recorded_at >= timestamp '{instant}'"
    changed = tmp_path / "changed"
    future = {
        "presensi/kehadiran_mahasiswa": f"case when {late} then 'alpa' else status_kehadiran end as status_kehadiran",
        "lms/aktivitas": f"case when {late} then jumlah_klik * 7 + 1 else jumlah_klik end as jumlah_klik",
        "lms/pengumpulan": f"case when {late} then 1 else skor end as skor",
        "siakad/nilai": f"case when {late} then 0 else bobot end as bobot",
        "siakad/mahasiswa": f"case when {late} then 'Z' else jalur_masuk end as jalur_masuk",
        "siakad/mata_kuliah": f"case when {late} then 1 else sks end as sks",
        "siakad/krs": f"case when {late} then 'batal' else status_krs end as status_krs",
    }
    for table, replacement in future.items():
        rewrite(late_raw, changed, table, f"select * replace ({replacement}) from rows")
    # added: later versions of what was known long before
    shift = f"timestamp '{instant}' + interval 1 hour"
    for table, key in {
        "siakad/nilai": "nim, kode_mk, semester",
        "siakad/mata_kuliah": "kode_mk",
        "siakad/krs": "nim, kode_mk, semester",
        "lms/tugas": "id_tugas",
    }.items():
        times = ", ".join(f"{shift} as {column}" for column in ("recorded_at", "loaded_at"))
        rewrite(
            late_raw,
            changed,
            table,
            f"select * from rows union all by name (select distinct on ({key}) * replace ({times}) from rows "
            f"where recorded_at < timestamp '{instant}' order by {key})",
        )
    # dropped: some students vanish from the future altogether
    rewrite(
        changed,
        changed,
        "lms/aktivitas",
        f"select * from rows where not ({late} and hash(nim) % 3 = 0)",
    )
    here = made(changed)
    here.build(*FEATURES, *UNTESTED, as_of=str(END))
    for table in FEATURE_TABLES:
        pd.testing.assert_frame_equal(
            believed(here, table, instant), believed(in_one_go, table, instant), obj=table
        )
        assert not believed(here, table).equals(believed(in_one_go, table)), (
            f"{table}: nothing was changed"
        )


class Oracle:
    """Each feature by its definition, one student and day at a time, in plain pandas."""

    def __init__(self, raw: Path) -> None:
        read = lambda table: pd.read_parquet(raw / f"{table}.parquet")  # noqa: E731
        self.attendance = read("presensi/kehadiran_mahasiswa")
        self.activity = read("lms/aktivitas")
        self.students = read("siakad/mahasiswa")
        self.grades = read("siakad/nilai")
        self.courses = read("siakad/mata_kuliah")
        self.plans = read("siakad/krs")
        self.assignments = read("lms/tugas")
        self.submissions = read("lms/pengumpulan")
        for name, frame in vars(self).items():
            loaded = frame["loaded_at"] if "loaded_at" in frame else frame["recorded_at"]
            setattr(self, name, frame[loaded < END])

    @staticmethod
    def window(rows: pd.DataFrame, day: datetime, days: int) -> pd.DataFrame:
        """Rows recorded in the `days` days before `day`."""
        return rows[(rows.recorded_at < day) & (rows.recorded_at >= day - timedelta(days=days))]

    def features_mahasiswa_attendance(self, nim: str, day: datetime) -> dict[str, float]:
        mine = self.attendance[self.attendance.nim == nim]
        out: dict[str, float] = {}
        for days in (7, 30, 90):
            rows = self.window(mine, day, days)
            present = rows.status_kehadiran.isin(["hadir", "terlambat"])
            out[f"attendance_rate_{days}d"] = present.mean() if len(rows) else float("nan")
        out["late_count_30d"] = (self.window(mine, day, 30).status_kehadiran == "terlambat").sum()
        streak = 0
        ordered = self.window(mine, day, 90).sort_values(
            ["recorded_at", "tanggal", "kode_mk", "semester", "pertemuan_ke"]
        )
        for status in reversed(ordered.status_kehadiran.tolist()):
            if status != "alpa":
                break
            streak += 1
        out["absence_streak"] = streak
        return out

    def features_mahasiswa_engagement(self, nim: str, day: datetime) -> dict[str, float]:
        mine = self.activity[self.activity.nim == nim]
        out: dict[str, float] = {}
        for days in (7, 30, 90):
            rows = self.window(mine, day, days)
            out[f"active_days_{days}d"] = rows.tanggal.nunique()
            out[f"clicks_{days}d"] = rows.jumlah_klik.sum()
        last = mine[mine.recorded_at < day].recorded_at.max().normalize()
        out["days_since_last_activity"] = min((day - last).days, 91)
        month = out["clicks_30d"] / 30
        out["clicks_trend_7d_30d"] = out["clicks_7d"] / 7 / month if month else float("nan")
        return out

    def features_mahasiswa_cohort(self, nim: str, day: datetime) -> dict[str, float]:
        known_at = self.students[["recorded_at", "loaded_at"]].max(axis=1)
        first = self.students.assign(known_at=known_at).sort_values(["known_at", "recorded_at"])
        known = first.groupby("nim").first().query("known_at < @day")
        on_time = self.activity[
            self.activity.loaded_at.dt.normalize() == self.activity.recorded_at.dt.normalize()
        ]
        clicks = self.window(on_time, day, 30).groupby("nim").jumlah_klik.sum()
        clicks = clicks[clicks > 0]
        if nim not in known.index or nim not in clicks.index:
            return {"clicks_rank_30d": float("nan")}
        peers = known[
            (known.kode_prodi == known.kode_prodi[nim]) & (known.angkatan == known.angkatan[nim])
        ].index
        clicks = clicks[clicks.index.isin(peers)]
        rank = (clicks < clicks[nim]).sum() / (len(clicks) - 1) if len(clicks) > 1 else 0.0
        return {"clicks_rank_30d": rank}

    def features_mahasiswa_demographic(self, nim: str, day: datetime) -> dict[str, object]:
        rows = self.students[(self.students.nim == nim) & (self.students.recorded_at < day)]
        last = rows.sort_values("recorded_at").iloc[-1]
        kept = ("nim", "nama", "angkatan", "status", "alamat", "berlaku_sejak", "recorded_at")
        return last.drop([*kept, "loaded_at"], errors="ignore").to_dict()

    @staticmethod
    def gpa(rows: pd.DataFrame) -> float:
        """Weighted by credits, unless those of some course are missing."""
        weights = rows.sks if rows.sks.notna().all() and rows.sks.sum() else 1 + 0 * rows.bobot
        return (rows.bobot * weights).sum() / weights.sum()

    def features_mahasiswa_academic(self, nim: str, day: datetime) -> dict[str, float]:
        known = self.grades[(self.grades.nim == nim) & (self.grades.recorded_at < day)]
        rows = (
            known.sort_values("recorded_at").groupby(["kode_mk", "semester"], as_index=False).last()
        )
        sks = []
        for row in rows.itertuples():
            versions = self.courses[
                (self.courses.kode_mk == row.kode_mk)
                & (self.courses.recorded_at <= row.recorded_at)
            ].sort_values("recorded_at")
            sks.append(versions.sks.iloc[-1] if len(versions) else None)
        rows = rows.assign(sks=pd.Series(sks, dtype="Float64").to_numpy("float64", na_value=nan))
        gpa = rows.groupby("semester")[["bobot", "sks"]].apply(self.gpa).sort_index()
        recent = gpa.tail(3).tolist()
        slope = float("nan")
        if len(recent) > 1:
            x = [i - (len(recent) - 1) / 2 for i in range(len(recent))]
            slope = sum(a * b for a, b in zip(x, recent, strict=True)) / sum(a * a for a in x)
            slope = round(slope, 9)
        # what is not known makes the sum unknown
        passed = rows[rows.bobot >= 1].groupby("kode_mk").sks.max().sum(skipna=False)
        return {
            "gpa_semester": gpa.iloc[-1],
            "gpa_cumulative": self.gpa(rows),
            "gpa_trend_slope": slope,
            "gpa_trend": None
            if pd.isna(slope)
            else "naik"
            if slope > 0.1
            else "turun"
            if slope < -0.1
            else "stabil",
            "credit_earned_total": passed,
            "credit_velocity": passed / len(gpa),
            "courses_taken_total": len(rows),
            "courses_failed_count": (rows.bobot < 1).sum(),
            "fail_rate": (rows.bobot < 1).mean(),
        }

    def is_late(self, submission: Any) -> bool:
        """The assignment was owed, and due before it was handed in, as both were known then."""
        known = self.assignments[
            (self.assignments.id_tugas == submission.id_tugas)
            & (self.assignments.recorded_at <= submission.recorded_at)
        ].sort_values("recorded_at")
        if known.empty or not known.tenggat.iloc[-1] < submission.waktu_kumpul:
            return False
        plans = self.plans[
            (self.plans.nim == submission.nim)
            & (self.plans.kode_mk == known.kode_mk.iloc[-1])
            & (self.plans.semester == known.semester.iloc[-1])
            & (self.plans.recorded_at <= submission.recorded_at)
        ].sort_values("recorded_at")
        return not plans.empty and plans.status_krs.iloc[-1] == "diambil"

    def features_mahasiswa_assessment(self, nim: str, day: datetime) -> dict[str, float]:
        mine = self.submissions[
            (self.submissions.nim == nim) & (self.submissions.recorded_at < day)
        ]
        mine = mine.sort_values("recorded_at")
        plans = self.plans[(self.plans.nim == nim) & (self.plans.recorded_at < day)]
        plans = (
            plans.sort_values("recorded_at").groupby(["kode_mk", "semester"], as_index=False).last()
        )
        plans = plans[plans.status_krs == "diambil"][["kode_mk", "semester"]]
        tasks = self.assignments[self.assignments.recorded_at < day].sort_values("recorded_at")
        tasks = (
            tasks.groupby("id_tugas", as_index=False)
            .last()
            .merge(plans, on=["kode_mk", "semester"])
        )
        due = tasks[tasks.tenggat < day].id_tugas
        handed_in = due.isin(mine.id_tugas).sum()
        first = mine.drop_duplicates("id_tugas")
        scored = mine[mine.skor.notna()]
        latest = scored.groupby("id_tugas").skor.last()
        last_three = scored.sort_values(["recorded_at", "id_tugas"]).skor.tail(3).tolist()
        trend = float("nan")
        if len(last_three) > 1:
            x = [i - (len(last_three) - 1) / 2 for i in range(len(last_three))]
            trend = sum(a * b for a, b in zip(x, last_three, strict=True)) / sum(a * a for a in x)
        return {
            "submitted_count": mine.id_tugas.nunique(),
            "missed_count": len(due) - handed_in,
            "late_count": sum(self.is_late(row) for row in first.itertuples()),
            "submitted_share": handed_in / len(due) if len(due) else float("nan"),
            "score_mean": latest.mean(),
            "score_last": last_three[-1] if last_three else float("nan"),
            "score_trend": trend,
        }


@pytest.mark.parametrize("table", FEATURE_TABLES)
def test_oracle_agrees(table: str, in_one_go: University, late_raw: Path) -> None:
    """Invariant 4: a brute-force oracle agrees on random (student, day) pairs."""
    oracle = getattr(Oracle(late_raw), table)
    versions = believed(in_one_go, table)
    generator = random.Random(11)
    features = set(versions.columns) - {"nim", *AUDIT}
    met: dict[str, set] = {name: set() for name in features}
    for nim in generator.sample(sorted(versions.nim.unique()), 25):
        mine = versions[versions.nim == nim]
        first = mine.valid_from.min()
        for _ in range(6):
            day = first + timedelta(days=generator.randint(0, max((END - first).days, 0)))
            row = mine[(mine.valid_from <= day) & (mine.valid_to > day)].iloc[0]
            wanted = oracle(nim, day.to_pydatetime())
            assert set(wanted) == features
            for name, expected in wanted.items():
                actual = row[name]
                met[name].add("unknown" if pd.isna(actual) else actual)
                if expected is None or pd.isna(expected):
                    assert pd.isna(actual), (nim, day, name, actual)
                elif isinstance(expected, str):
                    assert actual == expected, (nim, day, name)
                else:
                    tolerance = 0.0051 if table.endswith("cohort") else 1e-8
                    assert actual == pytest.approx(expected, abs=tolerance), (nim, day, name)
    # what is the same everywhere agrees with any oracle
    alike = {name for name, values in met.items() if len(values) < 2}
    assert not alike


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"inputs": []}, "inputs is missing"),
        ({"entity_key": "nim"}, "entity_key is no setting"),
        ({"inputs": [{"window_days": 7}]}, "input 1 (without fact): fact is missing"),
        ({"inputs": [{"fact": "f", "windows_days": 7}]}, "input 1 (f): windows_days is no setting"),
        ({"inputs": [{"fact": "f", "window_days": "7d"}]}, "window_days: 7d is no number of days"),
        ({"inputs": [{"fact": "f", "late_rows": "counted"}]}, "late_rows: counted means nothing"),
    ],
)
def test_a_misspelt_setting_is_refused(wrong: dict, said: str) -> None:
    """It would count as its default, and the table would miss what moves it."""

    def refuse(message: str) -> None:
        raise InsighteraError(message)

    checked = rendered(
        "duckdb",
        "feature_table/assert_feature_settings",
        exceptions={"raise_compiler_error": refuse},
        this={"identifier": "features_x"},
    ).assert_feature_settings
    right = {"fact": "f", "window_days": 7, "late_rows": "ignored"}
    checked({"entity_keys": ["nim"], "inputs": [right]})
    with pytest.raises(InsighteraError, match="features_x") as error:
        checked({"entity_keys": ["nim"], "inputs": [right], **wrong})
    assert said in str(error.value)
