"""Who learns and who judges: splits that keep time, entities and label horizons apart.

A row is one (entity, cutoff); its label looks `horizon` ahead. Three things make a validation
honest, and every split of entities here keeps the first two: no entity (of pairs, no person) stands on
both sides, training lies before validation, and (the gap) the last label of the training side was known before the first
cutoff of the validation side, as in de Prado, Advances in Financial Machine Learning (2018), ch. 7,
"purging". Forecasts are asked of entities that have a past: there the rolling origin keeps time and
horizons apart, and not entities.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Times = NDArray[np.datetime64]
Hashes = NDArray[
    np.uint64
]  # (rows,); of what a row consists of several of, such as pairs, (rows, n)

VALIDATION_PERCENT = 30  # of the entities, by their hash
# Of the nodes: a row judges where all of its nodes do and learns where none does, so that of pairs
# a fifth judges and three tenths learn.
NODES_PERCENT = 45
MINIMUM_ENTITIES = (
    5  # of each class, on either side of the outer split: below it a measure says nothing
)
MINIMUM_ROWS = 5  # of each class, on either side of an inner fold
# Positives of the training side for one of the validation side: about the latest quarter judges.
BALANCE = 7
# Periods (distinct cutoffs) of the training side for one of the validation side: about the latest
# quarter judges.
PERIOD_BALANCE = 3
MINIMUM_FORECASTS = 10  # rows on either side of an origin: below it an error says nothing
FIRST_ORIGIN = 3  # an inner origin needs one in so many of the rows behind it


class TooLittleDataError(Exception):
    """The matured rows do not suffice; the message says what is missing."""


@dataclass(frozen=True)
class Split:
    """Row indices of the two sides. Training rows have cutoff <= start - gap, validation rows >=
    start.
    """

    train: Indices
    validation: Indices
    start: np.datetime64
    gap: np.timedelta64
    words: str = ""  # how it was cut, for the card


@dataclass(frozen=True)
class Folds:
    """Inner folds and, in words for the model card, how they were cut."""

    pairs: list[tuple[Indices, Indices]]
    how: str


def mixed(entities: Hashes, salt: int) -> Hashes:
    """Another hash of the same entities, independent of the first (SplitMix64's finaliser, Steele
    et al. 2014).
    """
    step = np.uint64((0x9E3779B97F4A7C15 * (salt + 1)) % 2**64)
    value = entities + step
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def judges(entities: Hashes, salt: int = 0) -> NDArray[np.bool_]:
    """True where the entity stands on the validation side: the same 30 % in every build, for one
    salt.
    """
    return mixed(entities, salt) % np.uint64(100) < VALIDATION_PERCENT


def sides(apart: Hashes, salt: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who learns and who judges, of entities (rows,) or of nodes (rows, n): a row whose nodes stand on
    both sides does neither, so that nobody who judges was ever learned from.
    """
    if apart.ndim == 1:
        judge = judges(apart, salt)
        return ~judge, judge
    judge = mixed(apart, salt) % np.uint64(100) < NODES_PERCENT
    return np.logical_not(np.any(judge, axis=1)), np.all(judge, axis=1)


def outer_split(
    cutoffs: Times,
    labels: NDArray[np.int64],
    entities: Hashes,
    horizon: np.timedelta64,
    nodes: Hashes | None = None,
) -> Split:
    """Where validation starts, and who stands on which side.

    The start is the cutoff at which the scarcer side has most entities with a positive label, one
    of the validation side counting as much as seven of the training side: a long history leaves
    about its latest quarter to validation, a short one gives training what it needs. Ties: the
    earliest, so that more rows judge.

    Arguments are aligned, one element a row; labels are 0 or 1. `nodes`: what the entities consist
    of and is to be kept apart instead. Raises TooLittleDataError where no
    start leaves five entities of each class on each side.
    """
    learn, judge = sides(entities if nodes is None else nodes)
    starts = np.unique(cutoffs)
    counts = {
        (label, validation): _entities_by_start(
            cutoffs, entities, (labels == label) & side, starts, horizon, validation
        )
        for label in (0, 1)
        for validation, side in ((False, learn), (True, judge))
    }
    enough = np.all([count >= MINIMUM_ENTITIES for count in counts.values()], axis=0)
    if not enough.any():
        days = horizon // np.timedelta64(1, "D")
        raise TooLittleDataError(
            f"no validation start leaves {MINIMUM_ENTITIES} entities of each class both after it "
            "and at least "
            f"{days} days before it ({len(labels)} matured rows, {int(labels.sum())} positive, "
            "cutoffs " + (f"{_day(starts[0])} to {_day(starts[-1])})" if len(starts) else "none)")
        )
    worth = np.minimum(counts[1, False], BALANCE * counts[1, True])
    start = starts[np.argmax(np.where(enough, worth, -1))]
    apart = f"{VALIDATION_PERCENT} % of the entities (by hash) are on the validation side only"
    if nodes is not None:
        apart = (
            f"of what an entity consists of {NODES_PERCENT} % (by hash) is on the validation side "
            f"only; entities that lie across, {np.mean(~learn & ~judge):.0%} of the rows, are on "
            "neither"
        )
    return Split(
        train=np.flatnonzero(learn & (cutoffs <= start - horizon)),
        validation=np.flatnonzero(judge & (cutoffs >= start)),
        start=start,
        gap=horizon,
        words=(
            f"validation starts {_day(start)}, training ends "
            f"{horizon // np.timedelta64(1, 'D')} days before it, and {apart}"
        ),
    )


def _entities_by_start(
    cutoffs: Times,
    entities: Hashes,
    rows: NDArray[np.bool_],
    starts: Times,
    horizon: np.timedelta64,
    validation: bool,
) -> NDArray[np.int64]:
    """For each start, how many distinct entities of `rows` its side would hold."""
    order = np.lexsort((cutoffs[rows], entities[rows]))
    times, groups = cutoffs[rows][order], entities[rows][order]
    if validation:  # an entity is there until its last cutoff
        last = np.sort(times[np.append(groups[1:] != groups[:-1], True)] if len(times) else times)
        return len(last) - np.searchsorted(last, starts, side="left")
    first = np.sort(times[np.append(True, groups[1:] != groups[:-1])] if len(times) else times)
    return np.searchsorted(first, starts - horizon, side="right")


@dataclass(frozen=True)
class PurgedGroupTimeSplit:
    """A scikit-learn splitter: expanding training window, a gap, then a validation block, entities
    apart.

    Fold k's training window ends at the k-th quantile of the rows that still have `gap` after them;
    its validation block starts `gap` later and lasts until the next fold's. Others judge in each fold
    (`sides`). `cutoffs` and `apart`, entities or nodes, are aligned with the rows to be split. A
    fold may be empty on a side where the cutoffs' span is shorter than the gap: `inner_folds` sees
    to that.
    """

    cutoffs: Times = field(repr=False)
    apart: Hashes = field(repr=False)
    n_splits: int
    gap: np.timedelta64

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002, N803
        """Number of folds."""
        return self.n_splits

    def split(
        self,
        X: Any = None,  # noqa: ARG002, N803
        y: Any = None,  # noqa: ARG002
        groups: Any = None,  # noqa: ARG002
    ) -> Iterator[tuple[Indices, Indices]]:
        """Yield (training, validation) row indices, earliest fold first."""
        times = np.sort(self.cutoffs)
        early = times[times <= times[-1] - self.gap] if len(times) else times
        nothing = np.empty(0, dtype=np.int64)
        if not len(early):
            yield from [(nothing, nothing)] * self.n_splits
            return
        ends = [
            early[(len(early) - 1) * fold // (self.n_splits + 1)]
            for fold in range(1, self.n_splits + 1)
        ]
        for fold, end in enumerate(ends):
            learn, judge = sides(self.apart, salt=fold + 1)
            # Without a gap a block would share its first instant with the training window.
            later = (self.cutoffs >= end + self.gap) & (self.cutoffs > end)
            if fold + 1 < self.n_splits:
                following = ends[fold + 1]
                until = (self.cutoffs < following + self.gap) | (
                    (self.gap == np.timedelta64(0)) & (self.cutoffs <= following)
                )
                later &= until
            yield np.flatnonzero(learn & (self.cutoffs <= end)), np.flatnonzero(judge & later)


def grouped_folds(apart: Hashes, n_splits: int) -> list[tuple[Indices, Indices]]:
    """A partition: each row is held out once, and no entity (rows,) or node (rows, n) of it is learned
    from then.

    Nodes fall into `n_splits` parts, and rows whose nodes are of the same parts are held out
    together: more folds than parts, each learned from the rows that have no node in those parts.
    """
    part = mixed(apart, salt=101) % np.uint64(n_splits)
    if apart.ndim == 1:
        return [
            (np.flatnonzero(part != each), np.flatnonzero(part == each)) for each in range(n_splits)
        ]
    cells, cell = np.unique(np.sort(part, axis=1), axis=0, return_inverse=True)
    return [
        (np.flatnonzero(~np.isin(part, parts).any(axis=1)), np.flatnonzero(cell.ravel() == number))
        for number, parts in enumerate(cells)
    ]


def inner_folds(
    cutoffs: Times,
    labels: NDArray[np.int64],
    apart: Hashes,
    n_splits: int,
    horizon: np.timedelta64,
) -> Folds:
    """Folds for the grid: with the gap where the span allows, else without, else grouped alone, by
    entity (`apart` is one hash a row) or by node (several).

    Only folds with five rows of each class on each side count; a way of cutting is used where it
    has at least two (or the one asked for). Raises TooLittleDataError where none has.
    """
    days = horizon // np.timedelta64(1, "D")
    none = np.timedelta64(0, "D")
    grouped = "grouped by entity" if apart.ndim == 1 else "grouped by node"
    ways = [
        (
            PurgedGroupTimeSplit(cutoffs, apart, n_splits, horizon).split(),
            f"time-ordered, {grouped}, with a gap of {days} days",
        ),
        (
            PurgedGroupTimeSplit(cutoffs, apart, n_splits, none).split(),
            f"time-ordered, {grouped}, WITHOUT a gap: too few rows of a class lie {days} days apart",
        ),
        (
            iter(grouped_folds(apart, max(2, n_splits))),
            f"{grouped} only: the cutoffs are too close together to be ordered",
        ),
    ]
    for pairs, how in ways:
        usable = [pair for pair in pairs if all(_has_both(labels[side]) for side in pair)]
        if len(usable) >= min(2, n_splits):
            return Folds(usable, f"{len(usable)} folds, {how}")
    raise TooLittleDataError(
        f"no way of cutting {len(labels)} rows ({int(labels.sum())} positive) into folds leaves "
        f"{MINIMUM_ROWS} rows of each class on each side"
    )


def rolling_origin(cutoffs: Times, matured: Times) -> Split:
    """The split of forecasts: whoever judges is later in time, and the same entities stand on both
    sides, since a forecast is asked of entities that have a past.

    At the origin everything is known that had matured by then, and nothing else: a training row's
    target matured at or before it (`matured`, one instant a row, so that rows of a long horizon
    leave earlier than those of a short one: purging), a validation row's cutoff is at or after it.
    The origin is the cutoff at which the scarcer side has most periods, one of the validation side
    counting as much as three of the training side. Ties: the earliest. Source: Tashman,
    International Journal of Forecasting 16(4), 2000; Hyndman & Athanasopoulos, Forecasting:
    Principles and Practice (3rd ed.), 5.10.

    Raises TooLittleDataError where no origin leaves ten rows on each side, and an inner origin in
    the training side.
    """
    origins = np.unique(cutoffs)
    worth = [
        min(
            len(np.unique(cutoffs[matured <= origin])),
            PERIOD_BALANCE * int((origins >= origin).sum()),
        )
        if _judgeable(cutoffs, matured, origin)
        else -1
        for origin in origins
    ]
    if not worth or max(worth) < 0:
        raise TooLittleDataError(_too_few_periods(cutoffs, matured))
    start = origins[int(np.argmax(worth))]
    train, validation = np.flatnonzero(matured <= start), np.flatnonzero(cutoffs >= start)
    return Split(
        train=train,
        validation=validation,
        start=start,
        gap=np.timedelta64(0, "us"),
        words=(
            f"rolling origin at {_day(start)}: training rows had matured by then, validation "
            f"rows are asked from then on ({len(np.unique(cutoffs[train]))} periods learn, "
            f"{len(np.unique(cutoffs[validation]))} judge; the same entities on both sides)"
        ),
    )


def rolling_origins(cutoffs: Times, matured: Times, n_splits: int) -> Folds:
    """Inner folds of forecasts: several origins, each judged on the rows asked until the next one.

    The window expands: at each origin all rows learn that had matured by then. The first origin
    has a third of the rows behind it where that is possible. Origins are spread evenly, at most
    `n_splits` of them. Raises TooLittleDataError where there is none.
    """
    usable = [origin for origin in np.unique(cutoffs) if _enough_rows(cutoffs, matured, origin)]
    if not usable:
        raise TooLittleDataError(_too_few_periods(cutoffs, matured))
    late = [origin for origin in usable if (matured <= origin).sum() * FIRST_ORIGIN >= len(cutoffs)]
    spread = np.array(late or usable[-1:])
    places = np.linspace(0, len(spread), min(n_splits, len(spread)), endpoint=False)
    starts = spread[places.astype(np.int64)]
    pairs = []
    for number, start in enumerate(starts):
        asked = cutoffs >= start
        if number + 1 < len(starts):
            asked &= cutoffs < starts[number + 1]
        pairs.append((np.flatnonzero(matured <= start), np.flatnonzero(asked)))
    number = len(pairs)
    return Folds(
        pairs,
        f"{number} rolling origin{'s' if number > 1 else ''} from {_day(starts[0])} to "
        f"{_day(starts[-1])}, training rows matured at or before each",
    )


def _enough_rows(cutoffs: Times, matured: Times, origin: np.datetime64) -> bool:
    learn, judge = int((matured <= origin).sum()), int((cutoffs >= origin).sum())
    return min(learn, judge) >= MINIMUM_FORECASTS


def _judgeable(cutoffs: Times, matured: Times, origin: np.datetime64) -> bool:
    """Whether both sides have rows, and the training side can be cut again."""
    if not _enough_rows(cutoffs, matured, origin):
        return False
    behind = matured <= origin
    learned = cutoffs[behind], matured[behind]
    return any(_enough_rows(*learned, inner) for inner in np.unique(learned[0]))


def _too_few_periods(cutoffs: Times, matured: Times) -> str:
    periods = np.unique(cutoffs)
    between = f" from {_day(periods[0])} to {_day(periods[-1])}" if len(periods) else ""
    known = f", the last known at {_day(matured.max())}" if len(matured) else ""
    return (
        f"too few periods to learn from earlier ones and judge by later ones: {len(cutoffs)} "
        f"matured rows in {len(periods)} periods{between}{known}; {MINIMUM_FORECASTS} rows must "
        "have matured before an origin and as many be asked after it"
    )


def _has_both(labels: NDArray[np.int64]) -> bool:
    positives = int(labels.sum())
    return min(positives, len(labels) - positives) >= MINIMUM_ROWS


def _day(instant: np.datetime64) -> str:
    return str(instant.astype("datetime64[D]"))


def _entities_apart(rows: Any, horizon: np.timedelta64) -> Split:
    return outer_split(rows.cutoffs, rows.labels, rows.entities, horizon)


def _nodes_apart(rows: Any, horizon: np.timedelta64) -> Split:
    return outer_split(rows.cutoffs, rows.labels, rows.entities, horizon, rows.apart)


def later(cutoffs: Times) -> Split:
    """The latest quarter of the cutoffs judges what was learned before it: for questions without a
    label, where nothing but time must be kept apart. Raises TooLittleDataError where all rows have
    one cutoff.
    """
    instants = np.unique(cutoffs)
    if len(instants) < 2:
        raise TooLittleDataError("all rows have one cutoff: nothing lies later")
    start = instants[min(len(instants) - 1, int(np.ceil(0.75 * len(instants))))]
    return Split(
        train=np.flatnonzero(cutoffs < start),
        validation=np.flatnonzero(cutoffs >= start),
        start=start,
        gap=np.timedelta64(0, "us"),
        words=f"the latest quarter judges: validation starts {_day(start)}",
    )


def _later(rows: Any, horizon: np.timedelta64) -> Split:  # noqa: ARG001
    return later(rows.cutoffs)


def _rolling_origin(rows: Any, horizon: np.timedelta64) -> Split:  # noqa: ARG001
    return rolling_origin(rows.cutoffs, rows.matured)


# name -> split of rows (`ml.tasks.protocol.Rows`) whose labels look so far ahead
SPLITS: dict[str, Callable[[Any, np.timedelta64], Split]] = {
    "entities_apart": _entities_apart,
    "later": _later,
    "nodes_apart": _nodes_apart,
    "rolling_origin": _rolling_origin,
}
