"""Oracles of the feature tables of study programmes and of attendance habits, in plain pandas.

Each takes the raw tables by their path, as known at some instant, an entity and a day, and gives
every feature by its definition.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import nan

import pandas as pd

World = Mapping[str, pd.DataFrame]


def _ratio(above: float, below: float) -> float:
    return above / below if below else nan


def features_program_studi_enrolment(
    world: World, kode_prodi: str, day: datetime
) -> dict[str, float]:
    """Where the registrar counts every semester: study plans are not looked at."""
    counts = world["siakad/registrasi_prodi"]
    counts = counts[(counts.kode_prodi == kode_prodi) & (counts.recorded_at < day)]
    counts = counts.sort_values("semester")
    active = dict(zip(counts.semester, counts.jumlah_aktif, strict=True))
    new = dict(zip(counts.semester, counts.jumlah_baru, strict=True))
    newest, *older = reversed(active)

    def ago(years: int) -> str:
        return f"{int(newest[:4]) - years}{newest[4:]}"

    def new_in_year(first: str, last: str) -> float:
        counted = [number for semester, number in new.items() if first < semester <= last]
        return float(sum(counted)) if counted else nan

    now, previous = active[newest], active[older[0]] if older else nan
    year_ago = active.get(ago(1), nan)
    this_year, last_year = new_in_year(ago(1), newest), new_in_year(ago(2), ago(1))
    people = world["siakad/mahasiswa"]
    gone = people[
        (people.kode_prodi == kode_prodi)
        & (people.recorded_at < day)
        & (people.recorded_at >= day - timedelta(days=365))
    ]
    left = {status: rows.nim.nunique() for status, rows in gone.groupby("status")}
    lost = left.get("dropout", 0) + left.get("failed", 0)
    return {
        "active_students": now,
        "active_students_previous": previous,
        "active_students_year_ago": year_ago,
        "active_growth": _ratio(now, previous) - 1,
        "active_growth_year": _ratio(now, year_ago) - 1,
        "new_students_year": this_year,
        "new_growth_year": _ratio(this_year, last_year) - 1,
        "stayed_share": _ratio(now - new[newest], previous),
        "dropouts_365d": left.get("dropout", 0),
        "graduates_365d": left.get("graduated", 0),
        "left_share_365d": _ratio(lost, now),
    }


def features_mahasiswa_attendance_habit(world: World, nim: str, day: datetime) -> dict[str, float]:
    rows = world["presensi/kehadiran_mahasiswa"]
    rows = rows.assign(
        hadir=rows.status_kehadiran.isin(["hadir", "terlambat"]),
        telat=rows.status_kehadiran == "terlambat",
        hari=rows.recorded_at.dt.normalize(),
        menit=rows.recorded_at.dt.floor("min"),
        jam=(rows.recorded_at.dt.floor("min") - rows.tanggal.dt.floor("min")) / timedelta(hours=1),
    )
    mine = rows[(rows.nim == nim) & (rows.recorded_at < day)]
    recent = mine[mine.recorded_at >= day - timedelta(days=14)]
    before = mine[
        (mine.recorded_at < day - timedelta(days=14))
        & (mine.recorded_at >= day - timedelta(days=98))
    ]
    meeting = ["kode_mk", "semester", "pertemuan_ke"]
    on_time = rows[rows.loaded_at.dt.normalize() == rows.hari]
    known = recent.merge(on_time, on=meeting, suffixes=("", "_of_class"))
    known = known[known.hari_of_class <= known.hari]
    together = known[
        (known.nim_of_class != nim)
        & known.hadir
        & known.hadir_of_class
        & (known.menit == known.menit_of_class)
    ]
    present = recent[recent.hadir]
    rate = recent.hadir.mean() if len(recent) else nan
    usual = before.hadir.mean() if len(before) else nan
    late = _ratio(recent.telat.sum(), len(present))
    most = together.groupby("nim_of_class").size().max() if len(together) else 0
    return {
        "attendance_rate_14d": rate,
        "attendance_rate_usual": usual,
        "attendance_change": rate - usual,
        "attendance_against_class": rate - (known.hadir_of_class.mean() if len(known) else nan),
        "late_share_14d": late,
        "late_change": late - _ratio(before.telat.sum(), before.hadir.sum()),
        "same_minute_share_14d": _ratio(len(together.drop_duplicates(meeting)), len(present)),
        "same_minute_partner_14d": most if len(present) else nan,
        "record_lag_hours_14d": present.jam.max() if len(present) else nan,
    }
