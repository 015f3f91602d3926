"""The demo university itself: calendar, programmes, courses, assignments."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Array = NDArray[Any]

DAY, HOUR = 86_400, 3_600  # seconds
ORIGIN = np.datetime64("2021-08-02")  # a Monday; week 0
END = np.datetime64("2024-06-01")  # rows that would reach the lake later are not there yet
END_SECOND = int((END - ORIGIN).astype(int)) * DAY
DAYS = END_SECOND // DAY
WEEKS = -(-DAYS // 7)

SEMESTERS = ("2021-1", "2021-2", "2022-1", "2022-2", "2023-1", "2023-2")
TEACHING_BEGINS = (
    "2021-09-06",
    "2022-02-21",
    "2022-09-05",
    "2023-02-20",
    "2023-09-04",
    "2024-02-19",
)
STARTS: Array = (np.array(TEACHING_BEGINS, "datetime64[D]") - ORIGIN).astype(np.int64) * DAY
TEACHING_WEEKS = 14
MEETING_WEEKS: Array = np.array([0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13])  # 6 and 7: mid-term exams
COURSES = 3  # per student and semester
TASK_WEEKS: Array = np.array([3, 8, 12])  # an assignment is due on the Friday of these weeks
INTAKES: Array = np.array([0, 2, 4])  # semesters in which a cohort begins
INTAKE_SHARES = (0.36, 0.34, 0.30)

FACULTIES = (
    ("FTI", "Fakultas Teknologi Informasi"),
    ("FEB", "Fakultas Ekonomi dan Bisnis"),
    ("FKIP", "Fakultas Keguruan dan Ilmu Pendidikan"),
)


@dataclass(frozen=True)
class Programme:
    """A study programme; `semesters` is how long it takes, `share` of the intake, `sks` in all."""

    code: str
    name: str
    faculty: str
    level: str
    semesters: int
    share: float
    sks: int


PROGRAMMES = (
    Programme("IF", "Informatika", "FTI", "S1", 8, 0.26, 144),
    Programme("SI", "Sistem Informasi", "FTI", "S1", 8, 0.20, 144),
    Programme("MN", "Manajemen", "FEB", "S1", 8, 0.22, 144),
    Programme("AK", "Akuntansi", "FEB", "D3", 6, 0.16, 110),
    Programme("PM", "Pendidikan Matematika", "FKIP", "S2", 4, 0.08, 40),
    Programme("PG", "Pendidikan Profesi Guru", "FKIP", "profesi", 2, 0.08, 36),
)
BACHELORS = 3  # the first three take transfers from one another
LENGTHS: Array = np.array([programme.semesters for programme in PROGRAMMES])
TOPICS = (
    *("Pengantar", "Dasar", "Logika", "Statistika", "Etika", "Metode"),
    *("Analisis", "Perancangan", "Praktikum", "Teori", "Proyek", "Evaluasi"),
    *("Seminar", "Kapita Selekta", "Manajemen", "Kebijakan", "Riset", "Studi Kasus"),
)


def static_tables() -> dict[str, dict[str, Any]]:
    """Faculties, programmes, courses and assignments, recorded before anyone enrols."""
    early = timestamps(np.zeros(1, np.int64))[0]
    course = {
        "kode_mk": course_codes(),
        "nama_mk": pa.array(
            [
                f"{TOPICS[(level * COURSES + slot) % len(TOPICS)]} {programme.name}"
                for programme in PROGRAMMES
                for level in range(len(SEMESTERS))
                for slot in range(COURSES)
            ]
        ),
        "kode_prodi": pa.array(
            np.repeat([p.code for p in PROGRAMMES], len(SEMESTERS) * COURSES).tolist()
        ),
        "sks": pa.array(np.tile([3, 4, 3], len(PROGRAMMES) * len(SEMESTERS))),
    }
    # A level is taught where a cohort can have reached it: cohorts begin in odd semesters.
    age = np.arange(len(SEMESTERS))[:, None] - np.arange(len(SEMESTERS))
    taught = (age >= 0) & (age % 2 == 0)
    shape = (*taught.shape, len(PROGRAMMES), COURSES, len(TASK_WEEKS))
    semester, level, programme, slot, task = np.nonzero(
        np.broadcast_to(taught[:, :, None, None, None], shape)
    )
    code = course_number(programme, level, slot)
    tasks = {
        "id_tugas": task_ids(code, semester, task),
        "kode_mk": course_codes().take(pa.array(code)),
        "semester": pick(SEMESTERS, semester),
        "jenis": pick(("kuis", "tugas", "proyek"), task),
        "tenggat": timestamps(due_second(semester, task)),
        "bobot_persen": pick((20.0, 30.0, 50.0), task),
        "recorded_at": timestamps(STARTS[semester]),
        "loaded_at": timestamps(STARTS[semester]),
    }
    faculty = {
        "kode_fakultas": pa.array([code for code, _ in FACULTIES]),
        "nama_fakultas": pa.array([name for _, name in FACULTIES]),
    }
    programmes = {
        "kode_prodi": pa.array([p.code for p in PROGRAMMES]),
        "nama_prodi": pa.array([p.name for p in PROGRAMMES]),
        "kode_fakultas": pa.array([p.faculty for p in PROGRAMMES]),
        "jenjang": pa.array([p.level for p in PROGRAMMES]),
    }
    static = {
        "siakad/fakultas": faculty,
        "siakad/program_studi": programmes,
        "siakad/mata_kuliah": course,
    }
    for columns in static.values():
        rows = len(next(iter(columns.values())))
        columns["recorded_at"] = columns["loaded_at"] = pa.repeat(early, rows)
    return {**static, "lms/tugas": tasks}


@cache
def course_codes() -> pa.Array:
    """`kode_mk` by course number: programme, then level (semester of study), then slot."""
    return pa.array(
        [
            f"{programme.code}{level + 1}{slot + 1:02d}"
            for programme in PROGRAMMES
            for level in range(len(SEMESTERS))
            for slot in range(COURSES)
        ]
    )


def course_number(programme: Array, level: Array, slot: Array) -> Array:
    numbers: Array = (programme * len(SEMESTERS) + level) * COURSES + slot
    return numbers


def task_ids(course: Array, semester: Array, task: Array) -> pa.Array:
    return pc.binary_join_element_wise(
        course_codes().take(pa.array(course)),
        pick(SEMESTERS, semester),
        pick(("T1", "T2", "T3"), task),
        "-",
    )


def due_second(semester: Array, task: Array) -> Array:
    """Second at which an assignment is due: Friday 17:00 UTC of its week."""
    due: Array = STARTS[semester] + TASK_WEEKS[task] * 7 * DAY + 4 * DAY + 17 * HOUR
    return due


def timestamps(seconds: Array) -> pa.Array:
    return pa.array(ORIGIN.astype("datetime64[s]") + seconds.astype("timedelta64[s]"))


def pick(options: Any, numbers: Array) -> pa.Array:
    return pa.array(options).take(pa.array(numbers))
