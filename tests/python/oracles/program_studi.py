"""Study programmes."""

from datetime import datetime, timedelta
from math import nan

import pandas as pd

from oracles import Extracts, ratio, window

CENSUS_DAYS = 42  # `census_days` of dbt_project.yml


class Oracle:
    """The feature tables of `models/features/program_studi/`."""

    def __init__(self, extracts: Extracts) -> None:
        self.registrar = extracts.table("siakad/registrasi_prodi")
        self.plans = extracts.table("siakad/krs")
        self.students = extracts.table("siakad/mahasiswa")
        self.counts = self.counted(extracts.until)

    def counted(self, until: datetime) -> pd.DataFrame:
        """What the study plans said on each census day: one row per semester and programme."""
        first = self.plans.groupby("semester").loaded_at.min().dt.normalize()
        ever: set[str] = set()
        rows = []
        for semester, day in (first + timedelta(days=CENSUS_DAYS)).sort_index().items():
            plans = self.plans[
                (self.plans.semester == semester)
                & (self.plans[["recorded_at", "loaded_at"]].max(axis=1) < day)
            ]
            standing = plans.sort_values("recorded_at").groupby(["nim", "kode_mk"]).last()
            there = set(standing.query("status_krs == 'diambil'").reset_index().nim)
            known = self.students[
                self.students[["recorded_at", "loaded_at"]].max(axis=1) < day
            ].sort_values("recorded_at")
            for kode_prodi, people in known.groupby("nim").last().groupby("kode_prodi"):
                enrolled = there & set(people.index)
                row = (kode_prodi, semester, len(enrolled), len(enrolled - ever), day)
                rows.append(row)
            ever |= there
        names = ["kode_prodi", "semester", "jumlah_aktif", "jumlah_baru", "known_at"]
        counts = pd.DataFrame(rows, columns=names)
        return counts[counts.known_at <= until]

    def features_program_studi_enrolment(self, kode_prodi: str, day: datetime) -> dict[str, float]:
        """The registrar's word from the day after it was recorded, until then the count."""
        counts = self.counts[(self.counts.kode_prodi == kode_prodi) & (self.counts.known_at <= day)]
        words = self.registrar[
            (self.registrar.kode_prodi == kode_prodi) & (self.registrar.recorded_at < day)
        ]
        known = pd.concat([counts, words]).drop_duplicates("semester", keep="last")
        known = known.set_index("semester").sort_index()
        active, new = known.jumlah_aktif.to_dict(), known.jumlah_baru.to_dict()
        newest, *older = reversed(active)

        def ago(years: int) -> str:
            return f"{int(newest[:4]) - years}{newest[4:]}"

        def new_in_year(first: str, last: str) -> float:
            counted = [number for semester, number in new.items() if first < semester <= last]
            return sum(counted) if counted else nan  # one that is not known makes the sum unknown

        now, previous = active[newest], active[older[0]] if older else nan
        year_ago = active.get(ago(1), nan)
        this_year, last_year = new_in_year(ago(1), newest), new_in_year(ago(2), ago(1))
        gone = window(self.students[self.students.kode_prodi == kode_prodi], day, 365)
        left = gone.groupby("status").nim.nunique().to_dict()
        lost = left.get("dropout", 0) + left.get("failed", 0)
        return {
            "active_students": now,
            "active_students_previous": previous,
            "active_students_year_ago": year_ago,
            "active_growth": ratio(now, previous) - 1,
            "active_growth_year": ratio(now, year_ago) - 1,
            "new_students_year": this_year,
            "new_growth_year": ratio(this_year, last_year) - 1,
            "stayed_share": ratio(now - new[newest], previous),
            "dropouts_365d": left.get("dropout", 0),
            "graduates_365d": left.get("graduated", 0),
            "left_share_365d": ratio(lost, now),
        }
