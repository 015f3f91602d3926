"""The demo university's students: invented people whose trouble shows for weeks before they leave.

A student has an ability, a latent risk and, drawn from the risk, the week of leaving (perhaps after
`END`). Disengagement, 0 to 1 per week, rises before that week, and for some who stay in a passing
slump; it lowers attendance, clicks, submissions and grades. A seventh of those who leave show
almost nothing before. Numbers were set so that a gradient boosting on weekly features reaches a
ROC AUC of 0.8 to 0.9 at a horizon of 180 days.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.raw.demo.university import (
    BACHELORS,
    COURSES,
    DAY,
    HOUR,
    INTAKE_SHARES,
    INTAKES,
    LENGTHS,
    PROGRAMMES,
    SEMESTERS,
    STARTS,
    TEACHING_WEEKS,
    WEEKS,
    Array,
    pick,
)

CHUNK = 2_000  # students simulated at a time; part of the result: do not change it
NEVER = np.int64(1) << 40  # later than any second simulated

STATUSES = ("active", "leave", "dropout", "graduated", "failed")
ACTIVE, LEAVE, DROPOUT, GRADUATED, FAILED = range(5)
LETTERS = ("E", "D", "C", "BC", "B", "AB", "A")
POINTS: Array = np.array([0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0])
LETTER_FROM: Array = np.array([45.0, 53.0, 60.0, 66.0, 72.0, 79.0])  # lowest mark of D, C, ... A

# Invented people: common given and family names, put together at random.
GIVEN_F = ("Ayu", "Dewi", "Fitri", "Indah", "Kartika", "Lestari", "Maya", "Nur", "Putri", "Ratna")
GIVEN_M = ("Agus", "Bayu", "Dimas", "Eko", "Fajar", "Hendra", "Joko", "Rizky", "Teguh", "Wahyu")
FAMILY = (
    *("Santoso", "Wijaya", "Hidayat", "Saputra", "Nugroho", "Siregar", "Lubis", "Ginting"),
    *("Pratama", "Setiawan", "Kurniawan", "Halim", "Maulana", "Simanjuntak", "Rahman", "Utami"),
)
CHOICES: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "jalur_masuk": (("SNBP", "SNBT", "mandiri", "afirmasi"), (0.25, 0.4, 0.28, 0.07)),
    "pendidikan_asal": (("SMA", "SMK", "MA", "paket C"), (0.6, 0.22, 0.14, 0.04)),
    "kelompok_penghasilan": (
        ("0-2 juta", "2-5 juta", "5-10 juta", "10+ juta"),
        (0.22, 0.4, 0.26, 0.12),
    ),
    "wilayah": (
        ("Jawa Barat", "Jawa Tengah", "Jawa Timur", "Sumatera Utara", "Sulawesi Selatan", "Bali"),
        (0.26, 0.22, 0.22, 0.14, 0.1, 0.06),
    ),
    "agama": (
        ("Islam", "Kristen", "Katolik", "Hindu", "Buddha", "Konghucu"),
        (0.82, 0.08, 0.04, 0.04, 0.01, 0.01),
    ),
    "suku": (
        ("Jawa", "Sunda", "Batak", "Bugis", "Bali", "Tionghoa", "lainnya"),
        (0.4, 0.22, 0.12, 0.08, 0.05, 0.05, 0.08),
    ),
    "disabilitas": (("N", "Y"), (0.97, 0.03)),
    "kelompok_usia": (("17-20", "21-25", "26+"), (0.72, 0.2, 0.08)),
}
STREETS = ("Melati", "Kenanga", "Merdeka", "Diponegoro", "Cendana", "Pahlawan")
MISSING = 0.02  # share of each background attribute that nobody filled in


@dataclass(frozen=True)
class Students:
    """One chunk. Shapes: n students; s semesters; times in seconds since `ORIGIN`."""

    nim: pa.Array  # (n,)
    intake: Array  # (n,) semester in which the student begins
    programme: Array  # (n,) at intake
    transfer: Array  # (n,) programme after the change
    transfer_in: Array  # (n,) semester of the change of programme, -1 where none
    ability: Array  # (n,) standard normal, lower where the risk is higher
    risk: Array  # (n,) standard normal
    leaving: Array  # (n,) second of leaving, beyond END_SECOND for most
    leave_in: Array  # (n,) semester on leave, -1 where none
    disengaged: Array  # (n, WEEKS) 0 (as ever) to 1 (gone)

    def programme_in(self, row: Array, semester: Array) -> Array:
        """Programme of students `row` in `semester`."""
        moved = (self.transfer_in[row] >= 0) & (semester >= self.transfer_in[row])
        programme: Array = np.where(moved, self.transfer[row], self.programme[row])
        return programme


@dataclass(frozen=True)
class Studies:
    """Who studies what until when. Shapes (n, s, c): student, semester, course slot."""

    enrolled: Array  # (n, s, c) the course stands in the study plan
    until: Array  # (n, s, c) second at which the student stops taking it
    dropped: Array  # (n, s, c) taken off the plan before the semester's end
    mark: Array  # (n, s, c) 0 to 100
    graded: Array  # (n, s, c) second at which the mark is recorded
    leave: Array  # (n,) second the leave begins, NEVER where none
    back: Array  # (n,) second the student is back, NEVER where none
    exit_at: Array  # (n,) second of the last status, NEVER where still studying
    exit_status: Array  # (n,)


class Streams:
    """Random numbers of one chunk, an independent stream per purpose.

    The first axis is the students, which NumPy fills one after another: what a student draws does
    not depend on how many students follow.
    """

    def __init__(self, seed: int, chunk: int) -> None:
        self._seed, self._chunk = seed, chunk

    def _generator(self, purpose: str) -> np.random.Generator:
        key = (self._chunk, zlib.crc32(purpose.encode()))
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=key))
        )

    def uniform(self, purpose: str, *shape: int) -> Array:
        """Uniform in [0, 1)."""
        return self._generator(purpose).random(shape)

    def normal(self, purpose: str, *shape: int) -> Array:
        """Standard normal."""
        return self._generator(purpose).standard_normal(shape)

    def pick(self, purpose: str, count: int, shares: tuple[float, ...]) -> Array:
        """Number of a category per student, by `shares`."""
        edges = np.cumsum(shares)[:-1] / sum(shares)
        picked: Array = np.searchsorted(edges, self.uniform(purpose, count), side="right")
        return picked


def draw_students(streams: Streams, chunk: int, count: int) -> Students:
    intake = INTAKES[streams.pick("intake", count, INTAKE_SHARES)]
    programme = streams.pick("programme", count, tuple(p.share for p in PROGRAMMES))
    risk = streams.normal("risk", count)
    ability = 0.8 * streams.normal("ability", count) - 0.6 * risk
    # Exponential waiting time, in weeks from five weeks into the first semester.
    rate = 0.0020 * np.exp(risk)
    wait = -np.log1p(-streams.uniform("weeks", count)) / rate
    leaving = STARTS[intake] + ((5 + wait) * 7 * DAY).astype(np.int64)
    leave_in = np.where(
        streams.uniform("leave", count) < 0.06,
        intake + 1 + (streams.uniform("leave_in", count) * 4).astype(np.int64),
        -1,
    )
    transfer_in = np.where(
        (streams.uniform("transfer", count) < 0.04) & (programme < BACHELORS) & (leave_in < 0),
        intake + 1 + (streams.uniform("transfer_in", count) * 2).astype(np.int64),
        -1,
    )
    other = 1 + (streams.uniform("transfer_to", count) * (BACHELORS - 1)).astype(np.int64)
    number = pa.array(np.arange(chunk * CHUNK + 1, chunk * CHUNK + count + 1))
    year = pick(("M21", "M22", "M23"), intake // 2)
    nim = pc.binary_join_element_wise(
        year, pc.utf8_lpad(pc.cast(number, pa.string()), width=7, padding="0"), ""
    )
    return Students(
        nim=nim,
        intake=intake,
        programme=programme,
        transfer=(programme + other) % BACHELORS,
        transfer_in=transfer_in,
        ability=ability,
        risk=risk,
        leaving=leaving,
        leave_in=np.where(leave_in < len(SEMESTERS), leave_in, -1),
        disengaged=_disengagement(streams, risk, leaving / (7 * DAY)),
    )


def _disengagement(streams: Streams, risk: Array, leaving: Array) -> Array:
    """(n, WEEKS): a ramp before leaving, slumps that pass, and noise that lingers."""
    count = len(risk)
    week = np.arange(WEEKS)
    length = 16 + 24 * streams.uniform("ramp", count)
    silent = streams.uniform("silent", count) < 0.15
    depth = np.where(silent, 0.1, 0.6 + 0.4 * streams.uniform("depth", count))
    begin = (leaving - length)[:, None]
    ramp = depth[:, None] * np.clip((week - begin) / (0.5 * length[:, None]), 0, 1)
    centre = (WEEKS * streams.uniform("slump", count))[:, None]
    width = (2 + 4 * streams.uniform("slump_width", count))[:, None]
    height = np.where(
        streams.uniform("slumps", count) < 0.3,
        0.3 + 0.5 * streams.uniform("slump_height", count),
        0,
    )
    slump = height[:, None] * np.exp(-0.5 * ((week - centre) / width) ** 2)
    noise = 0.12 * streams.normal("noise", count, WEEKS)
    lingering = (noise + np.roll(noise, 1, axis=1) + np.roll(noise, 2, axis=1)) / np.sqrt(3)
    usual = 0.2 / (1 + np.exp(-risk))[:, None]
    level: Array = np.clip(usual + ramp + slump + lingering, 0, 1)
    return level


def draw_studies(streams: Streams, students: Students) -> Studies:
    count, semesters = len(students.intake), len(SEMESTERS)
    semester = np.arange(semesters)
    shape = (count, semesters, COURSES)
    mark = _marks(streams, students)
    graded = _graded(streams, shape)
    leave, back = _leave(streams, students)
    on_plan = (semester >= students.intake[:, None]) & (semester != students.leave_in[:, None])
    studied = np.cumsum(on_plan, axis=1)  # semesters of study up to and with this one
    exit_at, exit_status = _exits(streams, students, mark, on_plan, studied)
    length = LENGTHS[students.programme_in(np.arange(count), np.full(count, semesters))]
    in_time = (studied <= length[:, None]) & (exit_at[:, None] > STARTS)
    enrolled = np.broadcast_to((on_plan & in_time)[:, :, None], shape)
    # One course in fifty is taken off the plan in the third week.
    early = streams.uniform("course_dropped", *shape) < 0.02
    third_week = STARTS[:, None] + ((14 + 5 * streams.uniform("dropped_at", *shape)) * DAY).astype(
        np.int64
    )
    ends = np.broadcast_to((STARTS + TEACHING_WEEKS * 7 * DAY)[:, None], shape)
    until = np.minimum(np.where(early, third_week, ends), exit_at[:, None, None])
    return Studies(
        enrolled=enrolled,
        until=until,
        dropped=enrolled & (until < ends),
        mark=mark,
        graded=graded,
        leave=np.where(leave < exit_at - 10 * DAY, leave, NEVER),
        back=np.where((leave < exit_at - 10 * DAY) & (back < exit_at - 10 * DAY), back, NEVER),
        exit_at=exit_at,
        exit_status=exit_status,
    )


def _marks(streams: Streams, students: Students) -> Array:
    """(n, s, c): ability, less what disengagement during the semester costs, and chance."""
    shape = (len(students.intake), len(SEMESTERS), COURSES)
    weeks = np.clip(STARTS[:, None] // (7 * DAY) + np.arange(TEACHING_WEEKS), 0, WEEKS - 1)
    missed = students.disengaged[:, weeks].mean(axis=2)[:, :, None]
    chance = 7 * streams.normal("mark", *shape)
    mark: Array = np.clip(74 + 8 * students.ability[:, None, None] - 28 * missed + chance, 0, 100)
    return mark.round(1)


def _graded(streams: Streams, shape: tuple[int, int, int]) -> Array:
    """Marks are recorded two to five weeks after the teaching ends, in office hours."""
    days = TEACHING_WEEKS * 7 + 14 + (21 * streams.uniform("graded_day", *shape)).astype(np.int64)
    second = 2 * HOUR + (8 * HOUR * streams.uniform("graded_second", *shape)).astype(np.int64)
    graded: Array = STARTS[:, None] + days * DAY + second
    return graded


def _leave(streams: Streams, students: Students) -> tuple[Array, Array]:
    """Seconds at which a leave begins and ends: in the week before a semester's teaching."""
    count = len(students.intake)
    starts = np.append(STARTS, NEVER)
    before = (DAY * (2 + 5 * streams.uniform("leave_day", count))).astype(np.int64)
    has = students.leave_in >= 0
    leave = np.where(has, starts[students.leave_in] - before, NEVER)
    back = np.where(has, starts[students.leave_in + 1] - before, NEVER)
    return leave, back


def _exits(
    streams: Streams, students: Students, mark: Array, on_plan: Array, studied: Array
) -> tuple[Array, Array]:
    """When and how each student's time ends: the first of leaving, failing and graduating.

    Exam boards meet seven weeks after an even semester's teaching: whoever has less than 1.3 grade
    points after two semesters or less than 1.7 after four has failed; whoever has studied as
    many semesters as the programme lasts graduates with 2.0 or more.
    """
    points = np.where(on_plan[:, :, None], POINTS[letter_of(mark)], 0.0)
    taken = np.maximum(studied, 1) * COURSES
    average = points.sum(axis=2).cumsum(axis=1) / taken
    length = LENGTHS[
        students.programme_in(np.arange(len(mark)), np.full(len(mark), len(SEMESTERS)))
    ]
    at_board = (np.arange(len(SEMESTERS)) % 2 == 1) & on_plan
    limit = np.where(studied >= 4, 1.7, 1.3)
    fails = at_board & (studied >= 2) & (average < limit)
    graduates = at_board & (studied >= length[:, None]) & (average >= 2.0)
    jitter = (5 * DAY * streams.uniform("board", len(mark))).astype(np.int64)
    board = STARTS + (TEACHING_WEEKS + 7) * 7 * DAY
    fail_at = np.where(fails, board, NEVER).min(axis=1) + jitter
    graduate_at = np.where(graduates, board, NEVER).min(axis=1) + jitter
    times = np.stack([students.leaving, graduate_at, fail_at])
    first = times.argmin(axis=0)
    exit_at = times.min(axis=0)
    return exit_at, np.array([DROPOUT, GRADUATED, FAILED])[first]


def letter_of(mark: Array) -> Array:
    letter: Array = np.searchsorted(LETTER_FROM, mark, side="right")
    return letter


def background(streams: Streams, students: Students) -> dict[str, pa.Array]:
    """Name and background attributes, one value per student, (n,) each."""
    count = len(students.intake)
    female = streams.uniform("jenis_kelamin", count) < 0.52
    given = (streams.uniform("given", count) * 10).astype(np.int64)
    family = (streams.uniform("family", count) * len(FAMILY)).astype(np.int64)
    street = (streams.uniform("street", count) * len(STREETS)).astype(np.int64)
    house = pc.cast(
        pa.array(1 + (streams.uniform("house", count) * 120).astype(np.int64)), pa.string()
    )
    values = {
        name: pick(options, streams.pick(name, count, shares))
        for name, (options, shares) in CHOICES.items()
    }
    values["jenis_kelamin"] = pick(("L", "P"), female.astype(np.int64))
    values["alamat"] = pc.binary_join_element_wise("Jl.", pick(STREETS, street), "No.", house, " ")
    # Whoever tried before is likelier to leave again.
    again = streams.uniform("jumlah_percobaan", count) < 0.05 + 0.05 * (students.risk > 1)
    values["jumlah_percobaan"] = pa.array(again.astype(np.int64))
    for name in values:
        missing = pa.array(streams.uniform(f"missing_{name}", count) < MISSING)
        values[name] = pc.if_else(missing, pa.scalar(None, values[name].type), values[name])
    values["nama"] = pc.binary_join_element_wise(
        pick((*GIVEN_F, *GIVEN_M), given + np.where(female, 0, 10)), pick(FAMILY, family), " "
    )
    return values
