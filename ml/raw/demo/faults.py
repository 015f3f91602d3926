"""Faults planted in the demo university's attendance, so that a search for anomalies can be judged.

What is wrong, of whom and when is told to who asks `generate` for it, and stands nowhere in the raw
data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ml.raw.demo.students import Streams, Students
from ml.raw.demo.university import DAY, HOUR, SEMESTERS, Array, timestamps

KINDS = ("proxy", "stop", "night")
SHARE = 0.2  # of the students have one fault, those who are gone by then none
LATEST = 0.3  # of the faults lie in the last fortnight of the last semester
FIRST_MEETINGS: Array = np.array(
    [2, 3, 4, 6, 7, 8, 9, 10]
)  # a fault lasts this meeting and the next
PRESENT, ABSENT = 0, 3
ATTENDED = (0, 1)  # in time or late
TOGETHER = 4  # of six meetings: as often a proxy signs in at least


@dataclass(frozen=True)
class Attendance:
    """The rows of one chunk, in the order of `where`: student, semester, course slot, meeting."""

    where: tuple[Array, ...]
    event: Array  # second at which the meeting begins
    status: Array
    recorded: Array


def plant(streams: Streams, students: Students, rows: Attendance) -> dict[str, Any]:
    """Change `rows` in place, and say how: a row per fault.

    `proxy`: recorded as present in the same minute as one earlier student of the class, whenever that
    one is: whose rows stay as they are, since who follows changes nobody.
    `stop`: absent from everything for a fortnight, without a word. `night`: recorded as present at an
    hour at which nobody is there.
    """
    count = len(students.intake)
    kind = _drawn(streams, "fault_kind", count, len(KINDS))
    has = streams.uniform("fault", count) < SHARE
    last = streams.uniform("fault_is_last", count) < LATEST
    ahead = (len(SEMESTERS) - students.intake) * streams.uniform("fault_semester", count)
    semester = np.where(last, len(SEMESTERS) - 1, students.intake + ahead.astype(np.int64))
    first = FIRST_MEETINGS[_drawn(streams, "fault_meeting", count, len(FIRST_MEETINGS))]
    first = np.where(last, FIRST_MEETINGS[-1], first)
    seconds = 1 + _drawn(streams, "fault_seconds", count, 9)
    found: dict[str, list[Any]] = {"row": [], "partner": [], "kind": [], "since": [], "until": []}
    for row in np.nonzero(has)[0].tolist():
        when, meeting = int(semester[row]), int(first[row])
        mine = _rows(rows, row, when, meeting)
        name = KINDS[kind[row]]
        partner, shared = _partner(students, has, rows, row, when, meeting)
        if not len(mine) or (name == "proxy" and partner < 0):
            continue
        if name == "stop":
            rows.status[mine] = ABSENT
        if name == "night":
            rows.status[mine] = PRESENT
            rows.recorded[mine] = rows.event[mine] + 15 * HOUR + 60 * seconds[row]
        if name == "proxy":
            for at, theirs in shared.items():
                rows.status[at] = PRESENT
                minute = rows.recorded[theirs] - rows.recorded[theirs] % 60
                rows.recorded[at] = minute + (rows.recorded[theirs] + seconds[row]) % 60
        for column, value in (
            ("row", row),
            ("partner", partner if name == "proxy" else None),
            ("kind", name),
            ("since", rows.event[mine].min()),
            ("until", rows.event[mine].max() + DAY),
        ):
            found[column].append(value)
    who = pa.array(found["row"], pa.int64())
    return {
        "nim": students.nim.take(who),
        "kind": pa.array(found["kind"], pa.string()),
        "partner": students.nim.take(pa.array(found["partner"], pa.int64())),
        "since": timestamps(np.array(found["since"], np.int64)),
        "until": timestamps(np.array(found["until"], np.int64)),
    }


def _drawn(streams: Streams, purpose: str, count: int, options: int) -> Array:
    drawn: Array = (options * streams.uniform(purpose, count)).astype(np.int64)
    return drawn


def _rows(rows: Attendance, row: int, semester: int, first: int) -> Array:
    """Positions of a student's rows of two meetings in each course."""
    who, when, _, meeting = rows.where
    low, high = np.searchsorted(who, [row, row + 1])
    near = slice(low, high)
    wanted = (when[near] == semester) & np.isin(meeting[near], (first, first + 1))
    found: Array = low + np.nonzero(wanted)[0]
    return found


def _partner(
    students: Students, has: Array, rows: Attendance, row: int, semester: int, first: int
) -> tuple[int, dict[int, int]]:
    """The nearest earlier student of the same class without a fault who was there `TOGETHER` times, and
    that one's rows by those of `row`; -1 where there is none. Earlier, so that who follows changes nothing.
    """
    _, _, slot, meeting = rows.where
    mine = {(slot[at], meeting[at]): at for at in _rows(rows, row, semester, first)}
    programme = students.programme_in(np.arange(row + 1), np.full(row + 1, semester))
    alike = (students.intake[:row] == students.intake[row]) & (programme[:row] == programme[row])
    for other in np.nonzero(alike & ~has[:row])[0][::-1].tolist():
        shared = {
            mine[slot[at], meeting[at]]: int(at)
            for at in _rows(rows, other, semester, first)
            if (slot[at], meeting[at]) in mine and rows.status[at] in ATTENDED
        }
        if len(shared) >= TOGETHER:
            return other, shared
    return -1, {}
