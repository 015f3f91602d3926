"""The join against an oracle that looks at every pair, and against itself with the future moved."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.core.frames import to_arrow, to_spark
from ml.core.macros import rendered
from ml.features import point_in_time as joins
from ml.features import point_in_time_join

DAY = timedelta(days=1)
START = datetime(2024, 1, 1)
OPEN = datetime(9999, 12, 31)
OPTIONAL = ("valid_to", "system_from", "system_to")
PORTABLE = rendered("default", *joins.MACROS)
SETTINGS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Case:
    """A spine and two feature tables as lists of rows, and the join's arguments."""

    keys: tuple[str, ...]
    spine: list[dict[str, Any]]
    features: dict[str, list[dict[str, Any]]]
    columns: dict[str, tuple[str, ...]]
    ttl: timedelta | None
    known_at: str | datetime | None

    def table(self, name: str) -> pa.Table:
        if name == "spine":
            kinds = {"t": pa.timestamp("us"), "k": pa.timestamp("us"), "number": pa.int64()}
            return pa.Table.from_pylist(self.spine, pa.schema([*self._keys(), *kinds.items()]))
        kinds = {column: pa.timestamp("us") for column in self.columns[name]} | {
            f"value_{name}": pa.int64()
        }
        if name == "two":
            kinds |= {"value_two__since": pa.timestamp("us")}
        return pa.Table.from_pylist(self.features[name], pa.schema([*self._keys(), *kinds.items()]))

    def _keys(self) -> list[tuple[str, pa.DataType]]:
        kinds = {"nim": pa.string(), "number_id": pa.int32(), "day": pa.date32()}
        return [(key, kinds[key]) for key in self.keys]

    def arguments(self) -> dict[str, Any]:
        return {
            "entity_keys": list(self.keys),
            "timestamp": "t",
            "ttl": self.ttl,
            "known_at": self.known_at,
        }

    def oracle(self) -> list[dict[str, Any]]:
        return oracle(self)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Dense tables: an entity has several versions at most instants, and versions that tie."""
    keys = draw(st.sampled_from([("nim",), ("number_id",), ("nim", "number_id"), ("day",)]))
    known_at = draw(st.sampled_from([None, "k", START + 4 * DAY]))
    ttl = draw(st.sampled_from([None, None, timedelta(0), 2 * DAY, timedelta(days=5, seconds=1)]))
    random = Random(draw(st.integers(0, 2**32)))
    columns = {}
    for name in ("one", "two"):
        held = ["valid_from", *(c for c in OPTIONAL if draw(st.booleans()))]
        if known_at is not None and "system_from" not in held:
            held.append("system_from")
        columns[name] = tuple(held)
    sizes = st.sampled_from([0, 1, 10, 40])
    spine, tables = drawn(random, keys, columns, lambda: draw(sizes))
    return Case(keys, spine, tables, columns, ttl, known_at)


def drawn(
    random: Random,
    keys: tuple[str, ...],
    columns: dict[str, tuple[str, ...]],
    size: Callable[[], int],
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """A spine and feature tables, `size()` rows each."""

    def moment(nulls: float = 0.05) -> datetime | None:
        return None if random.random() < nulls else START + random.randrange(9) * DAY

    def entity() -> dict[str, Any]:
        values = {
            "nim": [*"aaaaaa", 'a"b', "", None],
            "number_id": [1, 1, 1, 1, 2, -300, None],
            "day": [START.date(), START.date(), START.date(), (START + DAY).date(), None],
        }
        return {key: random.choice(values[key]) for key in keys}

    def end() -> datetime | None:
        late = START + random.randrange(3, 12) * DAY
        return random.choice([OPEN, OPEN, None, late, late, late])

    def since(number: int) -> datetime | None:
        return START - number * DAY + timedelta(hours=5) if number % 3 else None

    spine = [
        {**entity(), "t": moment(), "k": moment(), "number": number} for number in range(size())
    ]
    tables = {
        name: [
            {
                **entity(),
                **{column: end() if column.endswith("_to") else moment() for column in held},
                f"value_{name}": None if number % 7 == 6 else number,
                **({"value_two__since": since(number)} if name == "two" else {}),
            }
            for number in range(size())
        ]
        for name, held in columns.items()
    }
    return spine, tables


def oracle(case: Case) -> list[dict[str, Any]]:
    """Every version looked at for every row of the spine."""
    answer = []
    for row in case.spine:
        found = dict(row)
        known = row["k"] if case.known_at == "k" else case.known_at
        for name, versions in case.features.items():
            best, value = None, None
            for number, version in enumerate(versions):
                if any(row[key] is None or row[key] != version[key] for key in case.keys):
                    continue
                if row["t"] is None or version["valid_from"] is None:
                    continue
                if not version["valid_from"] <= row["t"] < (version.get("valid_to") or OPEN):
                    continue
                system_to = version.get("system_to") or OPEN
                system_from = version.get("system_from")
                if case.known_at is None:
                    if system_to < OPEN:
                        continue
                elif known is None or system_from is None or not system_from < known <= system_to:
                    continue
                rank = (version["valid_from"], system_from or datetime.min, number)
                if best is None or rank > best:
                    best, value = rank, version[f"value_{name}"]
                    if since := version.get(f"value_{name}__since"):
                        value = (row["t"].date() - since.date()).days
            if best is not None and case.ttl is not None and row["t"] - best[0] > case.ttl:
                value = None
            found[f"value_{name}"] = value
        answer.append(found)
    return answer


def joined(case: Case, spine: Any = None, **tables: Any) -> list[dict[str, Any]]:
    result = point_in_time_join(
        case.table("spine") if spine is None else spine,
        {name: tables.get(name, case.table(name)) for name in case.features},
        **case.arguments(),
    )
    return result.to_pylist()


@dataclass(frozen=True)
class Pairs:
    """The case asked of two entities a row: `one` is of either side, `two` of both together."""

    case: Case

    @property
    def others(self) -> dict[str, str]:
        """Keys of the first -> keys of the second."""
        return {key: f"{key}_b" for key in self.case.keys}

    def paired(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each row with the entity of the next as its second."""
        following = [*rows[1:], *rows[:1]]
        return [
            row | {new: other[key] for key, new in self.others.items()}
            for row, other in zip(rows, following, strict=True)
        ]

    def table(self, name: str) -> pa.Table:
        plain = self.case.table(name)
        if name == "one":
            return plain
        rows = self.case.spine if name == "spine" else self.case.features[name]
        seconds = [(new, plain.schema.field(key).type) for key, new in self.others.items()]
        return pa.Table.from_pylist(
            self.paired(rows),
            pa.schema([*plain.schema, *(pa.field(*second) for second in seconds)]),
        )

    def arguments(self) -> dict[str, Any]:
        return self.case.arguments() | {
            "entity_keys": [*self.case.keys, *self.others.values()],
            "join_key_map": {"a": {key: key for key in self.case.keys}, "b": self.others},
        }

    def oracle(self) -> list[dict[str, Any]]:
        """Each side asked by itself, and both together."""
        case, spine = self.case, self.paired(self.case.spine)
        second = [row | {key: row[new] for key, new in self.others.items()} for row in spine]
        both = replace(
            case,
            keys=(*case.keys, *self.others.values()),
            spine=spine,
            features={"two": self.paired(case.features["two"])},
        )
        one = {"one": case.features["one"]}
        return [
            row | {"a__value_one": a["value_one"], "b__value_one": b["value_one"]}
            for row, a, b in zip(
                oracle(both),
                oracle(replace(case, spine=spine, features=one)),
                oracle(replace(case, spine=second, features=one)),
                strict=True,
            )
        ]


@SETTINGS
@given(cases())
def test_agrees_with_the_oracle(case: Case) -> None:
    assert joined(case) == oracle(case)


@SETTINGS
@given(cases())
def test_sides_are_each_joined_by_their_own_keys(case: Case) -> None:
    pairs = Pairs(case)
    tables = {name: pairs.table(name) for name in ("one", "two")}
    result = point_in_time_join(pairs.table("spine"), tables, **pairs.arguments())
    assert result.to_pylist() == pairs.oracle()


@SETTINGS
@given(cases())
def test_the_variant_for_other_engines_agrees_with_the_oracle(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joins, "_macros", lambda: PORTABLE)
        assert joined(case) == oracle(case)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize(
    ("known_at", "ttl", "asked"),
    [
        (None, None, lambda case: case),
        ("k", None, lambda case: case),
        ("k", None, Pairs),
        (None, 5 * DAY, lambda case: case),
        (START + 4 * DAY, timedelta(days=5, seconds=1), lambda case: case),
    ],
)
def test_spark_agrees_with_the_oracle(
    spark_session: Any, known_at: str | datetime | None, ttl: timedelta | None, asked: Any
) -> None:
    """A hundred cases in one join: each has a day of its own, which is a key."""
    random, keys = Random(7), ("nim", "number_id", "day")
    columns = dict.fromkeys(("one", "two"), ("valid_from", *OPTIONAL))
    spine: list[dict[str, Any]] = []
    held: dict[str, list[dict[str, Any]]] = {"one": [], "two": []}
    for number in range(100):
        mine = {"day": (START + number * DAY).date()}
        rows, tables = drawn(random, keys[:2], columns, lambda: random.randrange(20))
        spine += [{**row, **mine, "number": len(spine) + at} for at, row in enumerate(rows)]
        for name in held:
            held[name] += [{**row, **mine} for row in tables[name]]
    case = asked(Case(keys, spine, held, columns, ttl, known_at))
    frames = {name: to_spark(case.table(name), spark_session) for name in ("spine", *held)}
    result = point_in_time_join(frames.pop("spine"), frames, **case.arguments())
    assert to_arrow(result, "the answer").to_pylist() == case.oracle()


@SETTINGS
@given(cases(), st.data())
def test_what_begins_after_an_instant_changes_nothing_at_it(
    case: Case, data: st.DataObject
) -> None:
    """Leakage: versions of the later are added, changed and removed; rows at `t` or before stay."""
    t = START + data.draw(st.integers(0, 9)) * DAY
    later = {
        name: [
            version for version in versions if version["valid_from"] and version["valid_from"] > t
        ]
        for name, versions in case.features.items()
    }
    changed = {}
    for name, versions in case.features.items():
        kept = [version for version in versions if version not in later[name]]
        moved = [
            {
                **version,
                f"value_{name}": -1,
                **({"valid_to": None} if "valid_to" in version else {}),
            }
            for version in later[name]
            if data.draw(st.booleans())
        ]
        added = [
            {**version, "valid_from": t + data.draw(st.integers(1, 3)) * DAY, f"value_{name}": -2}
            for version in kept
        ]
        changed[name] = [*kept, *moved, *added]
    before = [row for row in joined(case) if row["t"] and row["t"] <= t]
    other = Case(case.keys, case.spine, changed, case.columns, case.ttl, case.known_at)
    after = [row for row in joined(other) if row["t"] and row["t"] <= t]
    assert after == before


@SETTINGS
@given(cases())
def test_what_is_recorded_later_changes_nothing_that_was_believed(case: Case) -> None:
    """Leakage in system time: corrections known from `k` on do not reach rows that ask before."""
    at = START + 4 * DAY
    held = {name: {*columns, "system_from"} for name, columns in case.columns.items()}
    features = {
        name: [
            {**version, "system_from": version.get("system_from") or START} for version in versions
        ]
        for name, versions in case.features.items()
    }
    corrected = {
        name: [*versions, *({**v, "system_from": at, f"value_{name}": -1} for v in versions)]
        for name, versions in features.items()
    }
    columns = {name: tuple(sorted(names)) for name, names in held.items()}
    then = Case(case.keys, case.spine, features, columns, case.ttl, at)
    now = Case(case.keys, case.spine, corrected, columns, case.ttl, at)
    assert joined(then) == joined(now)


@SETTINGS
@given(cases(), st.sampled_from(["pandas", "polars", "relation", "chunks", "zone"]))
def test_every_frame_says_the_same(case: Case, kind: str) -> None:
    connection = duckdb.connect()

    def converted(table: pa.Table) -> Any:
        if kind == "pandas":
            return table.to_pandas(timestamp_as_object=True)
        if kind == "polars":
            return pl.from_arrow(table)
        if kind == "relation":
            return connection.from_arrow(table)
        if kind == "chunks":
            return pa.concat_tables([table.slice(0, 3), table.slice(3)])
        # The same instants, told in Jakarta's time.
        for number, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                column = table.column(number).cast(pa.timestamp("us", "Asia/Jakarta"))
                table = table.set_column(number, field.name, column)
        return table

    known_at = case.known_at
    if kind == "zone" and isinstance(known_at, datetime):
        known_at = known_at.replace(tzinfo=timezone.utc).astimezone(timezone(timedelta(hours=7)))
    result = point_in_time_join(
        converted(case.table("spine")),
        {name: converted(case.table(name)) for name in case.features},
        **(case.arguments() | {"known_at": known_at}),
        connection=connection,
    ).select(["number", "value_one", "value_two"])
    expected = [
        {name: row[name] for name in ("number", "value_one", "value_two")} for row in oracle(case)
    ]
    frame = result.to_pandas().astype("object")
    assert frame.where(frame.notna(), None).to_dict("records") == expected


def test_a_great_unsorted_spine_comes_back_in_its_order() -> None:
    """More rows than a few batches of any engine, on two threads, with ties: against pandas."""
    import numpy as np

    random = np.random.default_rng(11)
    rows = 400_000
    spine = pd.DataFrame(
        {
            "entity": random.integers(-50, 2_000, rows),
            "at": START + pd.to_timedelta(random.integers(0, 5_000, rows), unit="min"),
        }
    )
    versions = pd.DataFrame(
        {
            "entity": random.integers(-50, 2_000, rows),
            "valid_from": START + pd.to_timedelta(random.integers(0, 5_000, rows), unit="min"),
            "value": np.arange(rows),
        }
    )
    expected = (
        pd.merge_asof(
            spine.reset_index().sort_values("at", kind="stable"),
            versions.sort_values("valid_from", kind="stable"),
            left_on="at",
            right_on="valid_from",
            by="entity",
        )
        .sort_values("index")["value"]
        .to_numpy()
    )
    for texts in (False, True):
        if texts:
            spine["entity"] = spine["entity"].astype(str)
            versions["entity"] = versions["entity"].astype(str)
        result = point_in_time_join(
            spine, {"x": versions}, entity_keys=["entity"], timestamp="at"
        ).to_pandas()
        np.testing.assert_array_equal(result["value"].to_numpy(), expected)
        pd.testing.assert_series_equal(result["entity"], spine["entity"])
