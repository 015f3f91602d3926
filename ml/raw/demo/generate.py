"""`insightera generate`: the demo university as raw files, chunk by chunk of students.

Everything is drawn per chunk of `CHUNK` students and per purpose from its own random stream, so
that student 17 is the same student however many are generated, and memory does not grow with
their number. No row reaches the lake after `END`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ml.core.errors import InsighteraError
from ml.raw.demo.faults import Attendance, plant
from ml.raw.demo.registrar import count_enrolled, registrasi_prodi
from ml.raw.demo.sections import Sections, pendaftaran
from ml.raw.demo.students import (
    ACTIVE,
    CHUNK,
    LEAVE,
    LETTERS,
    NEVER,
    POINTS,
    STATUSES,
    Streams,
    Students,
    Studies,
    background,
    draw_students,
    draw_studies,
    letter_of,
)
from ml.raw.demo.university import (
    COURSES,
    DAY,
    DAYS,
    END_SECOND,
    HOUR,
    MEETING_WEEKS,
    ORIGIN,
    PROGRAMMES,
    SEMESTERS,
    STARTS,
    TASK_WEEKS,
    TEACHING_WEEKS,
    WEEKS,
    Array,
    course_codes,
    course_number,
    due_second,
    pick,
    static_tables,
    task_ids,
    timestamps,
)
from ml.raw.files import RawWriter, contract

MOST_STUDENTS = 9_999_999  # what seven digits of a student number hold
PRODUCER = "insightera generate"
LATE = 0.02  # share of rows that reach the lake days after they were recorded
PRESENCE = ("hadir", "terlambat", "izin", "alpa")


def generate(
    students: int,
    seed: int,
    out: Path,
    *,
    file_format: str = "parquet",
    faults: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Write every raw table of `students` students below `out`; return rows per `<source>/<table>`.

    Deterministic in (students, seed): the same bytes every time, and the rows of a student do not
    depend on `students`; the registrar's census and the sections' grade sheets count them all. `faults` gets what is
    wrong with attendance and grades on purpose, as CSV; it may not lie in `out`. `progress` is called with the number of students done since the last
    call. Raises InsighteraError for a number out of range, an unknown `file_format` ("parquet" or
    "csv") or a folder that holds anything `generate` did not write.
    """
    if not 1 <= students <= MOST_STUDENTS:
        raise InsighteraError(
            f"Cannot generate {students} students. Ask for 1 to {MOST_STUDENTS} (--students)."
        )
    if seed < 0:
        raise InsighteraError(f"The seed {seed} is negative. Give 0 or more (--seed).")
    if faults is not None and faults.resolve().is_relative_to(out.resolve()):
        raise InsighteraError(
            f"{faults} lies in the raw folder. Write the faults elsewhere (--faults)."
        )
    tables = [table.path for table in contract()]
    planted: list[pa.Table] = []
    with RawWriter(out, PRODUCER, tables, file_format=file_format) as writer:
        for path, columns in static_tables().items():
            writer.write(path, columns)
        sections = Sections(seed, students)
        enrolled, graded = np.zeros(1, np.int64), sections.empty()
        for first in range(0, students, CHUNK):
            count = min(CHUNK, students - first)
            columns_of, counted, sheets, wrong = _chunk(sections, first // CHUNK, count)
            enrolled, graded = enrolled + counted, graded + sheets
            planted.append(wrong)
            for path, columns in columns_of.items():
                writer.write(path, columns)
            if progress is not None:
                progress(count)
        census = registrasi_prodi(seed, students, enrolled)
        taught, wrong = sections.tables(graded)
        for path, columns in {
            "siakad/registrasi_prodi": census,
            "siakad/pendaftaran": pendaftaran(seed, census),
            **taught,
        }.items():
            writer.write(path, columns)
    if faults is not None:
        told = pa.concat_tables([*planted, wrong], promote_options="default")
        pyarrow.csv.write_csv(told, faults)
    return writer.rows


def _chunk(
    sections: Sections, chunk: int, count: int
) -> tuple[dict[str, dict[str, Any]], Array, Array, pa.Table]:
    """Every table's rows of the first `count` students of a chunk; how many are enrolled, and got
    which grades; the faults.
    """
    streams = Streams(sections.seed, chunk)
    students = draw_students(streams, chunk, count)
    studies = draw_studies(streams, students)
    attendance, faults = _kehadiran(streams, students, studies)
    grades, sheets = _nilai(streams, students, studies, sections)
    tables = {
        "siakad/mahasiswa": _mahasiswa(streams, students, studies),
        "siakad/krs": _krs(streams, students, studies),
        "siakad/nilai": grades,
        "presensi/kehadiran_mahasiswa": attendance,
        "lms/pengumpulan": _pengumpulan(streams, students, studies),
        "lms/aktivitas": _aktivitas(streams, students, studies),
    }
    arrived = {path: _arrived(columns) for path, columns in tables.items()}
    return arrived, count_enrolled(students, studies), sheets, faults


def _mahasiswa(streams: Streams, students: Students, studies: Studies) -> dict[str, Any]:
    count = len(students.intake)
    admitted = STARTS[students.intake] - (
        DAY * (18 + 8 * streams.uniform("admitted", count))
    ).astype(np.int64)
    change = np.where(
        students.transfer_in >= 0, np.append(STARTS, NEVER)[students.transfer_in], NEVER
    ) - (5 * DAY * streams.uniform("transfer_day", count)).astype(np.int64)
    change = np.where(change < studies.exit_at - 10 * DAY, change, NEVER)
    since = np.stack([admitted, change, studies.leave, studies.back, studies.exit_at], axis=1)
    active = np.full(count, ACTIVE)
    status = np.stack([active, active, np.full(count, LEAVE), active, studies.exit_status], axis=1)
    delay = (DAY * (0.1 + 2.5 * streams.uniform("status_delay", *since.shape))).astype(np.int64)
    row, version = np.nonzero(since < END_SECOND)
    event, recorded = since[row, version], (since + delay)[row, version]
    moved = event >= change[row]
    programme = np.where(moved, students.transfer[row], students.programme[row])
    people = {
        name: column.take(pa.array(row)) for name, column in background(streams, students).items()
    }
    return {
        "nim": students.nim.take(pa.array(row)),
        **people,
        "kode_prodi": pick([p.code for p in PROGRAMMES], programme),
        "angkatan": pa.array(2021 + students.intake[row] // 2),
        "status": pick(STATUSES, status[row, version]),
        "beban_sks": pa.array(np.array([p.sks for p in PROGRAMMES])[programme]),
        "berlaku_sejak": event,
        "recorded_at": recorded,
        "loaded_at": _loaded(streams, "mahasiswa", since + delay)[row, version],
    }


def _krs(streams: Streams, students: Students, studies: Studies) -> dict[str, Any]:
    """Plans are recorded in the days before teaching; a course taken off again is a second row."""
    shape = studies.enrolled.shape
    before = (DAY * (2 + 8 * streams.uniform("krs", *shape))).astype(np.int64)
    after = (HOUR * (1 + 20 * streams.uniform("krs_dropped", *shape))).astype(np.int64)
    recorded = np.stack([STARTS[:, None] - before, studies.until + after], axis=3)
    has = np.stack([studies.enrolled, studies.dropped], axis=3)
    row, semester, slot, version = np.nonzero(has)
    return {
        **_course_key(students, row, semester, slot),
        "status_krs": pick(("diambil", "batal"), version),
        "recorded_at": recorded[row, semester, slot, version],
        "loaded_at": _loaded(streams, "krs", recorded)[row, semester, slot, version],
    }


def _nilai(
    streams: Streams, students: Students, studies: Studies, sections: Sections
) -> tuple[dict[str, Any], Array]:
    """Grades at the end of a semester; one in fifty is corrected upwards weeks later. And how many
    there are of each on the sections' sheets.
    """
    shape = studies.mark.shape
    given = sections.given(students, studies.mark, streams.uniform("grade_fault", *shape))
    raised = np.clip(given + 4 + 10 * streams.uniform("raised", *shape), 0, 100).round(1)
    mark = np.stack([given, raised], axis=3)
    later = (DAY * (10 + 40 * streams.uniform("corrected_at", *shape))).astype(np.int64)
    recorded = np.stack([studies.graded, studies.graded + later], axis=3)
    has_first = (
        studies.enrolled & ~studies.dropped & (studies.graded < studies.exit_at[:, None, None])
    )
    has_second = has_first & (streams.uniform("corrected", *shape) < 0.02)
    where = np.nonzero(np.stack([has_first, has_second], axis=3))
    # Some lecturers hand in the letter only.
    letter_only = (streams.uniform("letter_only", *shape) < 0.005)[where[:3]]
    letter = letter_of(mark[where])
    rows = {
        **_course_key(students, *where[:3]),
        "nilai_angka": pa.array(mark[where], mask=letter_only),
        "nilai_huruf": pick(LETTERS, letter),
        "bobot": pa.array(POINTS[letter]),
        "recorded_at": recorded[where],
        "loaded_at": _loaded(streams, "nilai", recorded)[where],
    }
    return rows, sections.counted(students, where, letter, recorded[where])


def _kehadiran(
    streams: Streams, students: Students, studies: Studies
) -> tuple[dict[str, Any], pa.Table]:
    """Weekly meetings: Monday, Wednesday and Friday, one course each. And what is wrong on purpose."""
    shape = (*studies.enrolled.shape, len(MEETING_WEEKS))
    day = MEETING_WEEKS * 7 + 2 * np.arange(COURSES)[:, None]
    begins = STARTS[:, None, None] + day * DAY + (1 + 2 * np.arange(COURSES)[:, None]) * HOUR
    takes = (
        studies.enrolled[..., None] & (begins < studies.until[..., None]) & (begins < END_SECOND)
    )
    where = np.nonzero(takes)
    row, semester, slot, meeting = where
    event = begins[semester, slot, meeting]
    away = students.disengaged[row, event // (7 * DAY)]
    absent = np.clip(0.03 + 0.02 * students.risk[row] + 0.75 * away, 0.01, 0.97)
    late = 0.05 + 0.08 * away
    chance = streams.uniform("presence", *shape)[where]
    # Absent, then excused, then late, then present, along one uniform number.
    status = np.select(
        [chance < absent, chance < absent + 0.03, chance < absent + 0.03 + late], [3, 2, 1], 0
    )
    recorded = (
        event
        + 2 * HOUR
        + (3 * HOUR * streams.uniform("presence_at", *shape)[where]).astype(np.int64)
    )
    faults = pa.table(plant(streams, students, Attendance(where, event, status, recorded)))
    rows = {
        **_course_key(students, row, semester, slot),
        "pertemuan_ke": pa.array(meeting + 1),
        "tanggal": event,
        "status_kehadiran": pick(PRESENCE, status),
        "recorded_at": recorded,
        "loaded_at": _loaded(streams, "kehadiran", recorded, shape, where),
    }
    return rows, faults


def _pengumpulan(streams: Streams, students: Students, studies: Studies) -> dict[str, Any]:
    """Submissions; some are recorded without a mark, and most of these get it in a second row."""
    shape = (*studies.enrolled.shape, len(TASK_WEEKS))
    due = np.broadcast_to(
        due_second(np.arange(len(SEMESTERS))[:, None], np.arange(len(TASK_WEEKS)))[:, None, :],
        shape,
    )
    away = students.disengaged[:, np.clip(due[0] // (7 * DAY), 0, WEEKS - 1)]
    risk, ability = students.risk[:, None, None, None], students.ability[:, None, None, None]
    hands_in = streams.uniform("hands_in", *shape) < np.clip(
        0.95 - 0.03 * risk - 0.75 * away, 0.02, 0.99
    )
    is_late = streams.uniform("hands_in_late", *shape) < 0.06 + 0.25 * away
    hours = -np.log1p(-streams.uniform("hands_in_at", *shape))
    handed = due + np.where(
        is_late, 20 * HOUR * np.minimum(hours, 5), -30 * HOUR * np.minimum(hours, 6)
    ).astype(np.int64)
    score = np.clip(
        77 + 6 * ability - 18 * away - 6 * is_late + 8 * streams.normal("score", *shape), 0, 100
    )
    unmarked = streams.uniform("unmarked", *shape) < 0.03
    marked_later = unmarked & (streams.uniform("marked_later", *shape) < 0.6)
    first = handed + (60 + 600 * streams.uniform("submission_at", *shape)).astype(np.int64)
    second = handed + (DAY * (3 + 9 * streams.uniform("marked_at", *shape))).astype(np.int64)
    exists = studies.enrolled[..., None] & hands_in & (handed < studies.until[..., None])
    where = np.nonzero(np.stack([exists, exists & marked_later], axis=4))
    row, semester, slot, task, version = where
    cell = where[:4]
    recorded = np.where(version == 0, first[cell], second[cell])
    level = semester - students.intake[row]
    course = course_number(students.programme_in(row, semester), level, slot)
    carried = streams.uniform("carried_over", *shape)[cell] < 0.003
    return {
        "nim": students.nim.take(pa.array(row)),
        "id_tugas": task_ids(course, semester, task),
        "waktu_kumpul": handed[cell],
        "skor": pa.array(score[cell].round(1), mask=unmarked[cell] & (version == 0)),
        "dari_sebelumnya": pa.array(carried),
        "recorded_at": recorded,
        "loaded_at": _loaded(streams, "pengumpulan", recorded, (*shape, 2), where),
    }


def _aktivitas(streams: Streams, students: Students, studies: Studies) -> dict[str, Any]:
    """Days with clicks: more in teaching weeks, fewer at weekends and while drifting off."""
    count = len(students.intake)
    day = np.arange(DAYS)
    since = day * DAY - STARTS[:, None]
    teaching = ((since >= -7 * DAY) & (since < (TEACHING_WEEKS + 2) * 7 * DAY)).any(axis=0)
    season = np.where(teaching, 1.0, 0.1) * np.where(day % 7 >= 5, 0.6, 1.0)
    habit = 0.18 * np.exp(0.35 * streams.normal("habit", count) - 0.1 * students.risk)
    level = np.repeat(1 - 0.9 * students.disengaged, 7, axis=1)[:, :DAYS]
    chance = np.minimum(habit, 0.8)[:, None] * season * level
    seconds = day * DAY
    here = (
        (seconds >= STARTS[students.intake][:, None] - 7 * DAY)
        & (seconds + DAY <= studies.exit_at[:, None])
        & ((seconds < studies.leave[:, None]) | (seconds >= studies.back[:, None]))
    )
    where = np.nonzero(here & (streams.uniform("active", count, DAYS) < chance))
    row, date = where
    # A logistic deviate of one uniform number, close enough to a normal one.
    chance = streams.uniform("clicks", count, DAYS)[where]
    spread = 0.5 * (np.log(chance + 1e-9) - np.log1p(-chance))
    clicks = 1 + np.exp(np.clip(2.9 + spread, 0, 6.5)) * (
        1 - 0.6 * students.disengaged[row, date // 7]
    )
    recorded = (date + 1) * DAY - 1  # a day's sum is known when the day is over
    return {
        "nim": students.nim.take(pa.array(row)),
        "tanggal": pa.array((ORIGIN + date).astype("datetime64[D]")),
        "jumlah_klik": pa.array(clicks.astype(np.int64)),
        "recorded_at": recorded,
        "loaded_at": _loaded(streams, "aktivitas", recorded, (count, DAYS), where),
    }


def _course_key(
    students: Students, row: Array, semester: Array, slot: Array
) -> dict[str, pa.Array]:
    level = semester - students.intake[row]
    course = course_number(students.programme_in(row, semester), level, slot)
    return {
        "nim": students.nim.take(pa.array(row)),
        "kode_mk": course_codes().take(pa.array(course)),
        "semester": pick(SEMESTERS, semester),
    }


def _loaded(
    streams: Streams,
    table: str,
    recorded: Array,
    shape: tuple[int, ...] | None = None,
    where: tuple[Array, ...] | None = None,
) -> Array:
    """When rows reach the lake: at once, or for the share `LATE` one to fourteen days later.

    `recorded` has `shape`, or holds its cells `where`.
    """
    chance = streams.uniform(f"late_{table}", *(shape or recorded.shape))
    if where is not None:
        chance = chance[where]
    # Below LATE the number is uniform again: it says how late.
    loaded: Array = recorded + np.where(chance < LATE, DAY * (1 + 13 * chance / LATE), 0).astype(
        np.int64
    )
    return loaded


def _arrived(columns: dict[str, Any]) -> dict[str, Any]:
    """The rows that have reached the lake by `END`; seconds become timestamps."""
    there = pa.array(columns["loaded_at"] < END_SECOND)
    return {
        name: (timestamps(column) if isinstance(column, np.ndarray) else column).filter(there)
        for name, column in columns.items()
    }
