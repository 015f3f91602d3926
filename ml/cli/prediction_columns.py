"""Predictions as a person reads them: which columns, in which order and in which words.

What a column means is its role and its unit, which the table itself holds; which task made it is
never asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ml.cli import screen
from ml.cli.screen import Column, Row
from ml.lake import prediction_tables

OUT_OF_100 = "0 to 100"
# Characters that a text is cut to before a column goes.
LEAST_ATTRIBUTE = 12
LEAST_FACTOR = 25
LEAST_REASON = 40
# What goes where a screen is narrow: of the attributes the last first, the first after the horizon.
WHY_RANK, VERSION_RANK, FIRST_ATTRIBUTE_RANK, HORIZON_RANK, ATTRIBUTES_RANK = range(1, 6)


@dataclass(frozen=True)
class Layout:
    """What a prediction table is made of."""

    entity: tuple[str, ...]
    outcome: str
    measure: str
    unit: str  # of the measure
    roles: dict[str, str]

    @classmethod
    def of(cls, table: str) -> "Layout":
        """As the table's properties say it."""
        measure = prediction_tables.measure(table)
        return cls(
            entity=prediction_tables.entity(table),
            outcome=prediction_tables.outcome(table),
            measure=measure,
            unit=prediction_tables.units(table).get(measure, ""),
            roles=prediction_tables.roles(table),
        )

    def column(self, role: str) -> str | None:
        """The column of that role."""
        return next((name for name, what in self.roles.items() if what == role), None)

    @property
    def order(self) -> list[tuple[str, str]]:
        """What a list is sorted by: the score, then the keys; the nearest target first."""
        score, target = self.column("score"), self.column("target")
        keys = [*self.entity, *([target] if target else [])]
        return [
            *([(score, "descending")] if score else []),
            *((key, "ascending") for key in keys),
        ]

    def shown(self, rows: Sequence[Row], attributes: Iterable[str]) -> list[Column]:
        """A list of predictions."""
        return [
            *_texts(rows, self.entity),
            *self._target(rows),
            self._measure(rows),
            *self._category(rows),
            *_attributes(rows, attributes),
            self._why(rows),
        ]

    def compared(self, rows: Sequence[Row]) -> list[Column]:
        """What differs between two moments."""
        category, target = self.column("category"), self.column("target")
        before, after = (
            [row[f"{self.measure}_{when}"] for row in rows] for when in ("before", "after")
        )
        said = self._said([*before, *after])
        columns = [
            *_texts(rows, self.entity),
            *([_text(rows, target, "target")] if target else []),
            self._moved([row[f"{self.measure}_delta"] for row in rows]),
            Column("before", said[: len(rows)], right=True),
            Column("after", said[len(rows) :], right=True),
        ]
        if category:
            pairs = [(row[f"{category}_before"], row[f"{category}_after"]) for row in rows]
            columns.append(Column(_head(category), [_change(*pair) for pair in pairs]))
        return [*columns, Column("change", [row["change"] for row in rows], rank=1)]

    def followed(self, rows: Sequence[Row]) -> list[Column]:
        """One entity's predictions through time, each with its step from the one before."""
        return [
            *self._target(rows),
            Column("as of", [screen.day(row["prediction_timestamp"]) for row in rows]),
            self._measure(rows),
            self._moved(self._steps(rows)),
            *self._category(rows),
            Column("version", [row["model_version"] for row in rows], rank=VERSION_RANK),
            self._why(rows),
        ]

    def _steps(self, rows: Sequence[Row]) -> list[float | None]:
        """How far each prediction is from the one before of the same target."""
        target = self.column("target")
        steps: list[float | None] = []
        last: dict[Any, float | None] = {}
        for row in rows:
            about = row[target] if target else None
            value, before = row[self.measure], last.get(about)
            steps.append(None if value is None or before is None else value - before)
            last[about] = value
        return steps

    def _target(self, rows: Sequence[Row]) -> list[Column]:
        target, horizon = self.column("target"), self.column("horizon")
        return [
            *([_text(rows, target, "target")] if target else []),
            *([_text(rows, horizon, "ahead", rank=HORIZON_RANK)] if horizon else []),
        ]

    def _measure(self, rows: Sequence[Row]) -> Column:
        head = _head(self.measure) if self.roles[self.measure] == "score" else self.outcome
        lower, upper = self.column("lower"), self.column("upper")
        values = [row[self.measure] for row in rows]
        if not lower or not upper:
            return Column(head, self._said(values), right=True)
        bounds = [*values, *(row[lower] for row in rows), *(row[upper] for row in rows)]
        said, count = self._said(bounds), len(rows)
        triples = zip(said[:count], said[count : 2 * count], said[2 * count :], strict=True)
        return Column(
            head,
            [
                f"{value} ({low} to {high})" if low and high else value
                for value, low, high in triples
            ],
            right=True,
        )

    def _said(self, values: Sequence[float | None]) -> list[str]:
        if self.unit == prediction_tables.SHARE:
            return [screen.percent(value) for value in values]
        if self.unit == OUT_OF_100:
            return ["" if value is None else f"{value:.1f}" for value in values]
        return screen.numbers(values)

    def _moved(self, deltas: Sequence[float | None]) -> Column:
        if self.unit == prediction_tables.SHARE:
            return Column("points", [screen.points(delta) for delta in deltas], right=True)
        if self.unit == OUT_OF_100:
            said = ["" if delta is None else f"{delta:+.1f}" for delta in deltas]
            return Column("moved", said, right=True)
        return Column("moved", screen.numbers(deltas, signed=True), right=True)

    def _category(self, rows: Sequence[Row]) -> list[Column]:
        name = self.column("category")
        return [Column(_head(name), [row[name] or "" for row in rows])] if name else []

    def _why(self, rows: Sequence[Row]) -> Column:
        """The task's own words, else the strongest factor: of a probability what raises it."""
        name = self.column("reason")
        said = screen.reason if self.unit == prediction_tables.SHARE else screen.strongest
        return Column(
            "why" if name else "most of all",
            [(row[name] if name else None) or said(row["contributing_factors"]) for row in rows],
            rank=WHY_RANK,
            is_text=True,
            least=LEAST_REASON if name else LEAST_FACTOR,
        )


def _texts(rows: Sequence[Row], names: Iterable[str]) -> list[Column]:
    return [_text(rows, name, name) for name in names]


def _text(rows: Sequence[Row], name: str, head: str, rank: int = 0) -> Column:
    """A column as it is."""
    return Column(head, ["" if row[name] is None else str(row[name]) for row in rows], rank=rank)


def _attributes(rows: Sequence[Row], names: Iterable[str]) -> list[Column]:
    """As they are, or cut; the last is the first to go."""
    return [
        replace(
            _text(rows, name, name),
            rank=ATTRIBUTES_RANK + number if number else FIRST_ATTRIBUTE_RANK,
            is_text=True,
            least=LEAST_ATTRIBUTE,
        )
        for number, name in enumerate(names)
    ]


def _head(column: str) -> str:
    """`category` of `risk_category`: what a column is, without what it is of."""
    return column.rpartition("_")[2]


def _change(before: str | None, after: str | None) -> str:
    return before or "" if before == after else f"{before or 'none'} → {after or 'none'}"
