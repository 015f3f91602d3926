"""The registrar's census of the demo university: students by programme and semester, since long before `ORIGIN`.

The student system knows cohorts from 2021 on; the census counts all who were enrolled, the older
cohorts included, in the fifth week of teaching.
"""

import zlib
from typing import Any

import numpy as np
import pyarrow as pa

from ml.raw.demo.students import Students, Studies
from ml.raw.demo.university import (
    DAY,
    HOUR,
    ORIGIN,
    PROGRAMMES,
    SEMESTERS,
    STARTS,
    Array,
    pick,
    timestamps,
)

FIRST_INTAKE, FIRST_CENSUS, FIRST_KNOWN = 2008, 2012, 2021  # years; by the last, all are students
CENSUS_DAYS = 30  # after teaching begins
GROWTH = (1.06, 1.03, 0.98, 0.95, 1.0, 1.02)  # of the intake, a year, by programme
STAYS = (
    0.92,
    0.98,
)  # share of a cohort that is there again: within its year of study, and after it


def count_enrolled(students: Students, studies: Studies) -> Array:
    """(programmes, semesters, 2): students of one chunk enrolled on census day, and the new of them."""
    counted = np.zeros((len(PROGRAMMES), len(SEMESTERS), 2), np.int64)
    row = np.arange(len(students.intake))
    for semester, start in enumerate(STARTS):
        there = (
            studies.enrolled[:, semester] & (studies.until[:, semester] > start + CENSUS_DAYS * DAY)
        ).any(axis=1)
        programme = students.programme_in(row, np.full(len(row), semester))
        for new, who in enumerate((there, there & (students.intake == semester))):
            counted[:, semester, new] += np.bincount(programme[who], minlength=len(PROGRAMMES))
    return counted


def registrasi_prodi(seed: int, students: int, known: Array) -> dict[str, Any]:
    """The raw table: a row per programme and semester; `known` is what `count_enrolled` gave in all."""
    older = _older_cohorts(seed, students)
    semesters = older.shape[1]
    older[:, semesters - len(SEMESTERS) :] += known
    codes = semester_codes()
    programme, semester = (index.ravel() for index in np.indices((len(PROGRAMMES), semesters)))
    census = np.array([teaching_begins(code) for code in codes]) + CENSUS_DAYS * DAY + 9 * HOUR
    recorded = timestamps(census[semester])
    return {
        "kode_prodi": pick([p.code for p in PROGRAMMES], programme),
        "semester": pick(codes, semester),
        "jumlah_aktif": pa.array(older[programme, semester, 0]),
        "jumlah_baru": pa.array(older[programme, semester, 1]),
        "recorded_at": recorded,
        "loaded_at": recorded,
    }


def _older_cohorts(seed: int, students: int) -> Array:
    """(programmes, semesters from FIRST_CENSUS on, 2): students of cohorts before FIRST_KNOWN."""
    sizes = older_sizes(seed, students)
    counted = np.zeros((len(PROGRAMMES), len(semester_codes()), 2), np.int64)
    for number, programme in enumerate(PROGRAMMES):
        for year in range(FIRST_INTAKE, FIRST_KNOWN):
            for age in range(programme.semesters):
                semester = 2 * (year - FIRST_CENSUS) + age
                there = sizes[number, year - FIRST_INTAKE, age]
                if 0 <= semester < counted.shape[1]:
                    counted[number, semester] += (there, there if age == 0 else 0)
    return counted


def older_sizes(seed: int, students: int) -> Array:
    """(programmes, cohorts from FIRST_INTAKE on, semesters of study): students of them before FIRST_KNOWN."""
    key = (zlib.crc32(b"registrasi_prodi"),)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
    longest = max(programme.semesters for programme in PROGRAMMES)
    sizes = np.zeros((len(PROGRAMMES), FIRST_KNOWN - FIRST_INTAKE, longest), np.int64)
    for number, programme in enumerate(PROGRAMMES):
        for year in range(FIRST_INTAKE, FIRST_KNOWN):
            usual = 0.35 * students * programme.share * GROWTH[number] ** (year - FIRST_KNOWN)
            there = generator.poisson(usual)
            for age in range(programme.semesters):
                sizes[number, year - FIRST_INTAKE, age] = there
                there = generator.binomial(there, STAYS[age % 2])
    return sizes


def semester_codes() -> list[str]:
    """Every semester from FIRST_CENSUS on, to the last simulated."""
    last = FIRST_KNOWN + len(SEMESTERS) // 2
    return [f"{year}-{half}" for year in range(FIRST_CENSUS, last) for half in (1, 2)]


def teaching_begins(code: str) -> int:
    """Second since ORIGIN: the stated one, or the first Monday of September and the third of February."""
    if code in SEMESTERS:
        return int(STARTS[SEMESTERS.index(code)])
    year, number = int(code[:4]), code[-1]
    day = f"{year}-09" if number == "1" else f"{year + 1}-02"
    first = np.busday_offset(f"{day}-01", 0 if number == "1" else 2, "forward", weekmask="Mon")
    return int((first - ORIGIN).astype(int)) * DAY
