"""Students."""

from datetime import datetime, timedelta
from math import nan
from typing import Any, ClassVar

import pandas as pd

from oracles import Extracts, ratio, window


class Oracle:
    """The feature tables of `models/features/mahasiswa/`."""

    # it is rounded to hundredths, where a half goes to either side
    TOLERANCES: ClassVar = {"clicks_rank_30d": 0.0051}

    def __init__(self, extracts: Extracts) -> None:
        self.attendance = extracts.table("presensi/kehadiran_mahasiswa")
        self.activity = extracts.table("lms/aktivitas")
        self.students = extracts.table("siakad/mahasiswa")
        self.grades = extracts.table("siakad/nilai")
        self.courses = extracts.table("siakad/mata_kuliah")
        self.plans = extracts.table("siakad/krs")
        self.assignments = extracts.table("lms/tugas")
        self.submissions = extracts.table("lms/pengumpulan")

    def features_mahasiswa_attendance(self, nim: str, day: datetime) -> dict[str, float]:
        mine = self.attendance[self.attendance.nim == nim]
        out: dict[str, float] = {}
        for days in (7, 30, 90):
            rows = window(mine, day, days)
            present = rows.status_kehadiran.isin(["hadir", "terlambat"])
            out[f"attendance_rate_{days}d"] = present.mean() if len(rows) else float("nan")
        out["late_count_30d"] = (window(mine, day, 30).status_kehadiran == "terlambat").sum()
        streak = 0
        ordered = window(mine, day, 90).sort_values(
            ["recorded_at", "tanggal", "kode_mk", "semester", "pertemuan_ke"]
        )
        for status in reversed(ordered.status_kehadiran.tolist()):
            if status != "alpa":
                break
            streak += 1
        out["absence_streak"] = streak
        return out

    def features_mahasiswa_attendance_habit(self, nim: str, day: datetime) -> dict[str, float]:
        minute = self.attendance.recorded_at.dt.floor("min")
        began = self.attendance.tanggal.dt.floor("min")
        rows = self.attendance.assign(
            present=self.attendance.status_kehadiran.isin(["hadir", "terlambat"]),
            late=self.attendance.status_kehadiran == "terlambat",
            on=self.attendance.recorded_at.dt.normalize(),
            minute=minute,
            hours=(minute - began) / timedelta(hours=1),
        )
        mine = rows[rows.nim == nim]
        recent = window(mine, day, 14)
        before = window(mine, day - timedelta(days=14), 84)
        present = recent[recent.present]
        rate, usual = recent.present.mean(), before.present.mean()
        late = ratio(recent.late.sum(), len(present))
        # classmates count where they came on their day, and not after the student's own row
        meeting = ["kode_mk", "semester", "pertemuan_ke"]
        on_time = rows[rows.loaded_at.dt.normalize() == rows.on]
        listed = recent.merge(on_time, on=meeting, suffixes=("", "_of_class"))
        listed = listed[listed.on_of_class <= listed.on]
        crowd = on_time[on_time.present].groupby([*meeting, "minute"]).size().rename("crowd")
        listed = listed.join(crowd, on=[*meeting, "minute"])
        together = listed[
            (listed.nim_of_class != nim)
            & listed.present
            & listed.present_of_class
            & (listed.minute == listed.minute_of_class)
            & (listed.crowd <= 5)
        ]
        most = together.groupby("nim_of_class").size().max() if len(together) else 0
        return {
            "attendance_rate_14d": rate,
            "attendance_rate_usual": usual,
            "attendance_change": rate - usual,
            "attendance_against_class": rate - listed.present_of_class.mean(),
            "late_share_14d": late,
            "late_change": late - ratio(before.late.sum(), before.present.sum()),
            "same_minute_share_14d": ratio(len(together.drop_duplicates(meeting)), len(present)),
            "same_minute_partner_14d": most if len(present) else nan,
            "record_lag_hours_14d": present.hours.max(),
        }

    def features_mahasiswa_engagement(self, nim: str, day: datetime) -> dict[str, float]:
        mine = self.activity[self.activity.nim == nim]
        out: dict[str, float] = {}
        for days in (7, 30, 90):
            rows = window(mine, day, days)
            out[f"active_days_{days}d"] = rows.tanggal.nunique()
            out[f"clicks_{days}d"] = rows.jumlah_klik.sum()
        last = mine[mine.recorded_at < day].recorded_at.max().normalize()
        out["days_since_last_activity"] = min((day - last).days, 91)
        month = out["clicks_30d"] / 30
        out["clicks_trend_7d_30d"] = out["clicks_7d"] / 7 / month if month else float("nan")
        return out

    def features_mahasiswa_cohort(self, nim: str, day: datetime) -> dict[str, float]:
        known_at = self.students[["recorded_at", "loaded_at"]].max(axis=1)
        day = day - timedelta(days=day.weekday())
        first = self.students.assign(known_at=known_at).sort_values(["known_at", "recorded_at"])
        known = first.groupby("nim").first().query("known_at < @day")
        on_time = self.activity[
            self.activity.loaded_at.dt.normalize() == self.activity.recorded_at.dt.normalize()
        ]
        clicks = window(on_time, day, 30).groupby("nim").jumlah_klik.sum()
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
