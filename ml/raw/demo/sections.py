"""Lecturers, course sections, grade sheets and intakes of the demo university, since `FIRST_CENSUS`.

Of the cohorts that the student system knows, a sheet counts the very grades in `siakad/nilai` that were
recorded by its day; of the older ones, whose students it does not know, they are drawn alike.
"""

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.raw.demo.registrar import (
    FIRST_CENSUS,
    FIRST_INTAKE,
    FIRST_KNOWN,
    older_sizes,
    semester_codes,
    teaching_begins,
)
from ml.raw.demo.students import FAMILY, GIVEN_F, GIVEN_M, LETTERS, Students, letter_of
from ml.raw.demo.university import (
    COURSES,
    DAY,
    END_SECOND,
    HOUR,
    INTAKE_SHARES,
    PROGRAMMES,
    SEMESTERS,
    STARTS,
    Array,
    course_codes,
    course_number,
    pick,
    timestamps,
)

KINDS = ("lenient", "harsh", "uniform")
SHARE, LATEST_SHARE = (
    0.03,
    0.12,
)  # of the courses of a semester have a fault; of the last one graded
LATEST = len(SEMESTERS) - 2  # of the known semesters, whose grades are there before `END`
SEATS = 40  # students that a section is planned for
LECTURERS = 4  # of a programme
SMALLEST = 5  # students; a smaller section's counts are not told
SHEET_DAYS = (140, 190)  # after teaching begins: the sheet, and its correction where grades changed
USUAL, SPREAD, BETWEEN = 70.5, 11.4, 2.0  # marks of the known cohorts; between sections
LATE = 0.02  # share of sheets that reach the lake late
LEVELS = len(SEMESTERS)
KNOWN = (FIRST_KNOWN - FIRST_CENSUS) * 2  # number of the first semester in `SEMESTERS`
COUNTS = tuple(f"jumlah_{letter.lower()}" for letter in LETTERS)


def _generator(seed: int, purpose: str) -> np.random.Generator:
    key = (zlib.crc32(purpose.encode()),)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


@dataclass(frozen=True)
class Sections:
    """The sections of a university of `students` students, of one seed."""

    seed: int
    students: int

    @cached_property
    def faults(self) -> Array:
        """(programmes, levels, semesters, slots): number of the fault in `KINDS`, -1 where none. It
        depends on the seed alone, as what a student gets may.
        """
        semesters = KNOWN + len(SEMESTERS)
        shape = (len(PROGRAMMES), LEVELS, semesters, COURSES)
        drawn = _generator(self.seed, "grade_fault").random((2, *shape))
        share = np.where(np.arange(semesters) == KNOWN + LATEST, LATEST_SHARE, SHARE)
        kinds: Array = (len(KINDS) * drawn[1]).astype(np.int64)
        return np.where(drawn[0] < share[:, None], kinds, -1)

    def number_of(self, programme: Array) -> Array:
        """Sections that a course of a known cohort is taught in."""
        size = self.students * np.mean(INTAKE_SHARES)
        shares = np.array([each.share for each in PROGRAMMES])[programme]
        number: Array = np.maximum(1, np.round(size * shares / SEATS)).astype(np.int64)
        return number

    def empty(self) -> Array:
        """Counts before the first chunk: see `counted`."""
        most = int(self.number_of(np.arange(len(PROGRAMMES))).max())
        shape = (len(PROGRAMMES), LEVELS, len(SEMESTERS), COURSES, most, len(SHEET_DAYS))
        return np.zeros((*shape, len(LETTERS)), np.int64)

    def given(self, students: Students, marks: Array, chance: Array) -> Array:
        """(n, s, c): the marks that were given, faults and all; `chance`: uniform, of that shape."""
        index: Array = np.indices(marks.shape)
        row, semester, slot = index[0], index[1], index[2]
        level = semester - students.intake[:, None, None]
        programme = students.programme_in(row, semester)
        kind = self.faults[programme, level.clip(0), semester + KNOWN, slot]
        return faulty(marks, np.where(level >= 0, kind, -1), chance)

    def counted(
        self, students: Students, where: tuple[Array, ...], letter: Array, recorded: Array
    ) -> Array:
        """As `empty`: of one chunk's grades (student, semester, slot, version), those that stood on the
        days of the sheets.
        """
        counts = self.empty()
        row, semester, slot, version = where
        programme = students.programme_in(row, semester)
        number = np.array([int(each) for each in pc.utf8_slice_codeunits(students.nim, 3)])
        section = number[row] % self.number_of(programme)
        cell = (programme, semester - students.intake[row], semester, slot, section)
        for sheet, days in enumerate(SHEET_DAYS):
            by_then = recorded < STARTS[semester] + days * DAY
            # A grade is corrected once at most: the correction follows its first version.
            again = np.append(
                (version[1:] == 1) & by_then[1:], np.zeros(min(1, len(version)), dtype=bool)
            )
            stands = by_then & ~((version == 0) & again)
            np.add.at(
                counts,
                tuple(axis[stands] for axis in (*cell, np.full(len(row), sheet), letter)),
                1,
            )
        return counts

    def tables(self, known: Array) -> tuple[dict[str, dict[str, Any]], pa.Table]:
        """`siakad/dosen`, `siakad/kelas` and `siakad/sebaran_nilai`, and the faults; `known`: what
        `counted` gave in all.
        """
        sheets = self._sheets(known)
        kelas = sheets[sheets["sheet"] == 0]
        key = {
            "kode_mk": course_codes().take(
                pa.array(course_number(kelas["programme"], kelas["level"], kelas["slot"]))
            ),
            "semester": pick(semester_codes(), kelas["semester"]),
            "kelas": _letters(kelas["section"]),
        }
        planned = timestamps(kelas["begins"] - 21 * DAY + 9 * HOUR)
        told = (sheets["recorded"] < END_SECOND) & (sheets["counts"].sum(axis=1) > 0)
        told &= (sheets["sheet"] == 0) | sheets["is_changed"]
        late = _generator(self.seed, "sheet_late").random(len(sheets))
        loaded = sheets["recorded"] + np.where(late < LATE, DAY * (1 + 13 * late / LATE), 0).astype(
            np.int64
        )
        graded = sheets[told & (loaded < END_SECOND)]
        size = graded["counts"].sum(axis=1)
        return {
            "siakad/dosen": _dosen(self.seed),
            "siakad/kelas": {
                **key,
                "nidn": _nidn(_lecturer(kelas)),
                "kapasitas": pa.array(np.full(len(kelas), SEATS + 5)),
                "recorded_at": planned,
                "loaded_at": planned,
            },
            "siakad/sebaran_nilai": {
                **_key(graded),
                "jumlah_peserta": pa.array(size),
                **{
                    name: pa.array(graded["counts"][:, number], mask=size < SMALLEST)
                    for number, name in reversed(list(enumerate(COUNTS)))
                },
                "recorded_at": timestamps(graded["recorded"]),
                "loaded_at": timestamps(loaded[told & (loaded < END_SECOND)]),
            },
        }, self._told(graded)

    def _told(self, graded: Any) -> pa.Table:
        first = graded[graded["sheet"] == 0]
        kind = self.faults[first["programme"], first["level"], first["semester"], first["slot"]]
        wrong = first[(kind >= 0) & (first["counts"].sum(axis=1) >= SMALLEST)]
        kind = self.faults[wrong["programme"], wrong["level"], wrong["semester"], wrong["slot"]]
        return pa.table({"kind": pick(KINDS, kind), **_key(wrong)})

    def _sheets(self, known: Array) -> Any:
        """A record a section, semester and sheet, in this order."""
        generator = _generator(self.seed, "sebaran_nilai")
        older = older_sizes(self.seed, self.students)
        rows = []
        for semester, code in enumerate(semester_codes()):
            begins = teaching_begins(code)
            for number, programme in enumerate(PROGRAMMES):
                for level in range(semester % 2, min(programme.semesters, LEVELS), 2):
                    cohort = FIRST_CENSUS + (semester - level) // 2
                    for slot in range(COURSES):
                        place = (number, level, semester, slot)
                        if cohort >= FIRST_KNOWN:
                            sections = int(self.number_of(np.array([number]))[0])
                            counts = known[number, level, semester - KNOWN, slot, :sections]
                        else:
                            size = older[number, cohort - FIRST_INTAKE, level]
                            counts = self._drawn(generator, int(size), place)
                        rows += [
                            (
                                *place,
                                section,
                                sheet,
                                begins,
                                begins + SHEET_DAYS[sheet] * DAY + 6 * HOUR,
                                (each[sheet] != each[0]).any(),
                                each[sheet],
                            )
                            for section, each in enumerate(counts)
                            for sheet in range(len(each))
                        ]
        numbers = (
            "programme",
            "level",
            "semester",
            "slot",
            "section",
            "sheet",
            "begins",
            "recorded",
        )
        return np.array(
            rows,
            [
                *((name, np.int64) for name in numbers),
                ("is_changed", bool),
                ("counts", np.int64, (len(LETTERS),)),
            ],
        )

    def _drawn(self, generator: np.random.Generator, size: int, place: tuple[int, ...]) -> Array:
        """(sections, 1, letters): grades of a course of `size` students whom nobody knows."""
        counts = []
        for part in np.array_split(np.arange(size), max(1, round(size / SEATS))):
            level = USUAL + BETWEEN * generator.standard_normal()
            marks = level + SPREAD * generator.standard_normal(len(part))
            kind = np.full(len(part), self.faults[place])
            letters = letter_of(faulty(marks, kind, generator.random(len(part))))
            counts.append([np.bincount(letters, minlength=len(LETTERS))])
        found: Array = np.array(counts)
        return found


def faulty(marks: Array, kind: Array, chance: Array) -> Array:
    """Marks as given: `lenient`, nine in ten get an A; `harsh`, half of them fail; `uniform`, all get a B."""
    lenient = np.where(chance < 0.9, np.maximum(marks, 80 + 15 * chance), marks)
    harsh = np.where(chance < 0.5, np.minimum(marks, 20 + 40 * chance), marks)
    given: Array = np.select(
        [kind == number for number in range(len(KINDS))], [lenient, harsh, 66.5 + 5 * chance], marks
    ).round(1)
    return given


def pendaftaran(seed: int, registrasi: dict[str, Any]) -> dict[str, Any]:
    """The state of each intake eight, four and one week before teaching: more and more have applied,
    been admitted and registered. `registrasi`: the census, which says how many came.
    """
    census = pa.table(
        {name: registrasi[name] for name in ("kode_prodi", "semester", "jumlah_baru")}
    ).to_pandas()
    odd = census[census["semester"].str.endswith("-1")].reset_index(drop=True)
    generator = _generator(seed, "pendaftaran")
    came = odd["jumlah_baru"].to_numpy()
    registered = np.ceil(came * 1.04).astype(np.int64)
    admitted = np.ceil(registered * (1.1 + 0.2 * generator.random(len(odd)))).astype(np.int64)
    applied = np.ceil(admitted * (1.5 + generator.random(len(odd)))).astype(np.int64)
    weeks = np.array([8, 4, 1])
    part = np.array([[0.5, 0.0, 0.0], [0.9, 0.7, 0.3], [1.0, 1.0, 1.0]])
    entry, state = (index.ravel() for index in np.indices((len(odd), len(weeks))))
    begins = np.array([teaching_begins(code) for code in odd["semester"]])
    recorded = timestamps((begins[:, None] - weeks * 7 * DAY + 9 * HOUR)[entry, state])
    places = (10 * np.ceil(registered / 10)).astype(np.int64)
    return {
        "kode_prodi": pa.array(odd["kode_prodi"].to_numpy()[entry]),
        "semester": pa.array(odd["semester"].to_numpy()[entry]),
        "daya_tampung": pa.array(places[entry]),
        **{
            name: pa.array((part[state, number] * whole[entry]).astype(np.int64))
            for number, (name, whole) in enumerate(
                (
                    ("jumlah_pendaftar", applied),
                    ("jumlah_diterima", admitted),
                    ("jumlah_registrasi", registered),
                )
            )
        },
        "recorded_at": recorded,
        "loaded_at": recorded,
    }


def _key(sheets: Any) -> dict[str, pa.Array]:
    course = course_number(sheets["programme"], sheets["level"], sheets["slot"])
    return {
        "kode_mk": course_codes().take(pa.array(course)),
        "semester": pick(semester_codes(), sheets["semester"]),
        "kelas": _letters(sheets["section"]),
    }


def _letters(section: Array) -> pa.Array:
    """A to Z, then AA, AB, …"""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    most = int(section.max(initial=0)) + 1
    names = [
        (alphabet[number // 26 - 1] if number >= 26 else "") + alphabet[number % 26]
        for number in range(most)
    ]
    return pick(names, section)


def _lecturer(sections: Any) -> Array:
    """Who teaches a course changes every five years."""
    turn = (sections["semester"] // 2 + sections["slot"]) // 5
    who = (sections["level"] * COURSES + sections["slot"] + sections["section"] + turn) % LECTURERS
    number: Array = sections["programme"] * LECTURERS + who
    return number


def _nidn(lecturer: Array) -> pa.Array:
    return pick(
        [f"00{410001 + number:06d}" for number in range(len(PROGRAMMES) * LECTURERS)], lecturer
    )


def _dosen(seed: int) -> dict[str, Any]:
    """Each as the first semester found them, and where they rose, or retired, since."""
    generator = _generator(seed, "dosen")
    count = len(PROGRAMMES) * LECTURERS
    female = generator.random(count) < 0.45
    given, family = generator.integers(0, 10, count), generator.permutation(count) % len(FAMILY)
    rank, faith = generator.integers(0, 3, count), generator.integers(0, 3, count)
    first = teaching_begins(semester_codes()[0]) - 60 * DAY
    rises = first + (DAY * (700 + 3000 * generator.random(count))).astype(np.int64)
    retires = np.where(generator.random(count) < 0.15, END_SECOND - 120 * DAY, 2 * END_SECOND)
    who, version = np.nonzero(
        np.stack([np.full(count, first), rises, retires], axis=1) < END_SECOND
    )
    since = np.stack([np.full(count, first), rises, retires], axis=1)[who, version]
    names = [
        f"{(GIVEN_F if female[number] else GIVEN_M)[given[number]]} {FAMILY[family[number]]}"
        for number in range(count)
    ]
    ranks = ("asisten ahli", "lektor", "lektor kepala", "guru besar")
    recorded = timestamps(since + 8 * HOUR)
    return {
        "nidn": _nidn(who),
        "nama": pick(names, who),
        "kode_prodi": pick([each.code for each in PROGRAMMES], who // LECTURERS),
        "jabatan": pick(ranks, rank[who] + (version > 0)),
        "status": pick(("active", "retired"), (version == 2).astype(np.int64)),
        "jenis_kelamin": pick(("L", "P"), female[who].astype(np.int64)),
        "agama": pick(("Islam", "Kristen", "Hindu"), faith[who]),
        "kelompok_usia": pa.array(["26-65"] * len(who)),
        "berlaku_sejak": timestamps(since),
        "recorded_at": recorded,
        "loaded_at": recorded,
    }
