"""How much will it be? Forecasts of many series by one regressor, each with an interval.

One model learns from all series (they are short), and from each series' past as feature columns.
Two things follow. Trees answer with means of what they have seen, so they cannot follow a series
beyond it; and large series would drown small ones. Hence what is learned may be the difference to
a naive forecast (a baseline column), also in proportion to the series' own size; which of them is
best, inner origins decide.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import ParameterGrid
from sklearn.utils.validation import has_fit_parameter

from ml.tasks import conformal, estimators, splits
from ml.tasks.splits import TooLittleDataError

Floats = NDArray[np.float64]

# How much of the learned difference is believed. Between a naive forecast and a model the truth
# often lies in between: Bates & Granger, Operational Research Quarterly 20(4), 1969.
DAMPINGS = (1.0, 0.75, 0.5, 0.25)
SMALL = 0.05  # quantile of the training series' sizes below which a size counts as that
LOG_LINKS = ("poisson", "gamma")  # losses of trees under which contributions multiply
LOG_LINEAR = ("PoissonRegressor", "GammaRegressor")


class History(Protocol):
    """When each row was asked and known, and of whom (`ml.tasks.protocol.Rows` is one)."""

    @property
    def cutoffs(self) -> splits.Times: ...
    @property
    def matured(self) -> splits.Times: ...
    @property
    def entities(self) -> splits.Hashes: ...


@dataclass(frozen=True)
class Terms:
    """What a forecaster is asked for.

    `kinds`: its features, `number` or `category`, the baselines' columns and `horizon` among them
    where the frame has them. `baselines`: name -> column that is that naive forecast.
    """

    estimator: str  # dotted path
    kinds: Mapping[str, str]
    baselines: Mapping[str, str]
    grid: Mapping[str, list[Any]] = field(default_factory=dict)
    level: float = 0.8  # of the intervals
    non_negative: bool = False
    horizon: str = "horizon"  # column: periods ahead, from 1; where it is absent all are alike
    folds: int = 3
    totals: tuple[int, ...] = ()  # sums of the next so many periods that are asked for


@dataclass(frozen=True)
class Target:
    """What the regressor learns: the number itself, or its difference to a baseline, as it is or in
    proportion to the series' size.
    """

    baseline: str | None = None
    scaled: bool = False

    @property
    def words(self) -> str:
        """For the card."""
        if self.baseline is None:
            return "the number itself"
        size = ", in proportion to the series' size" if self.scaled else ""
        return f"the difference to {self.baseline}{size}"


@dataclass(frozen=True)
class Total:
    """Of one entity from one cutoff: the sum of the next `periods` forecasts."""

    entity: int
    cutoff: np.datetime64
    periods: int
    value: float
    lower: float
    upper: float
    truth: float  # NaN where no labels were given


@dataclass(frozen=True)
class _Choice:
    """A candidate, and what it said of rows that it had not seen."""

    target: Target
    damping: float
    parameters: Mapping[str, Any]
    values: Floats
    error: float  # mean absolute, over the judged rows


class Forecaster:
    """A regressor of `ml.tasks.estimators` with intervals; pickles.

    After `fit`: `target_`, `damping_`, `parameters_` (what inner origins chose), `folds_` (in
    words), `calibration_`, `totals_` (calibration of totals, by number of periods), `without_`
    (totals that have none, and why), `pipeline_`.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms

    def fit(self, frame: pd.DataFrame, labels: Floats, history: History) -> "Forecaster":
        """Choose, calibrate on later periods, then learn from all rows.

        `frame` holds the features of matured rows, `labels` their truths, all aligned. The inner
        origins (`splits.rolling_origins`) choose first the target, then the grid's point, by mean
        absolute error; the errors that the choice made at them are what its intervals are
        calibrated on. Raises TooLittleDataError where there are too few periods or rows.
        """
        labels = np.asarray(labels, dtype=np.float64)
        self._learn_sizes(frame, labels)
        folds = splits.rolling_origins(history.cutoffs, history.matured, self.terms.folds)
        self.folds_ = folds.how
        with estimators.one_thread():
            choice = self._chosen(frame, labels, folds.pairs)
            self.target_, self.damping_ = choice.target, choice.damping
            self.parameters_ = dict(choice.parameters)
            judged = np.concatenate([held for _, held in folds.pairs])
            self._calibrate(frame.iloc[judged], labels[judged], choice.values, _at(history, judged))
            self.pipeline_ = self._learned(frame, labels, choice.target, choice.parameters)
            anchor, _ = self._anchor(frame, choice.target)
            self.constant_ = float(np.mean(anchor))
        return self

    def predict(self, frame: pd.DataFrame) -> Floats:
        """The forecast of each row."""
        return self._clipped(self.unclipped(frame))

    def unclipped(self, frame: pd.DataFrame) -> Floats:
        """The forecast before it is cut off at 0: what contributions add up to."""
        if not len(frame):
            return np.zeros(0)
        with estimators.one_thread():
            return self._said(self.pipeline_, frame, self.target_, self.damping_)

    def intervals(self, frame: pd.DataFrame) -> dict[str, Floats]:
        """`value`, `lower`, `upper` of each row; lower <= value <= upper, all of them at least 0
        where the outcome is.
        """
        raw = self.unclipped(frame)
        lower, upper = self.calibration_.bounds(raw, self._sizes(frame), self._horizons(frame))
        return {
            "value": self._clipped(raw),
            "lower": self._clipped(lower),
            "upper": self._clipped(upper),
        }

    def totals(
        self, frame: pd.DataFrame, history: History, labels: Floats | None = None
    ) -> list[Total]:
        """The sums of the next 3, 6, 12 … periods (`terms.totals`) of each entity and cutoff whose
        periods are all in `frame`, beside the sum of the truths, where `labels` are given.

        A total's value is the sum of its forecasts; its interval is calibrated on the errors that
        totals made, since errors of one series partly cancel and partly go together: sums of
        bounds would be too wide, sums of variances too narrow.
        """
        values, sizes = self.predict(frame), self._sizes(frame)
        truths = np.full(len(frame), np.nan) if labels is None else labels
        found = []
        for periods, calibration in self.totals_.items():
            groups = list(_runs(history, self._horizons(frame), periods))
            sums = np.array([values[rows].sum() for rows in groups])
            of = np.array([sizes[rows].sum() for rows in groups])
            lower, upper = calibration.bounds(sums, of, np.full(len(groups), periods))
            found += [
                Total(
                    int(history.entities[rows[0]]),
                    history.cutoffs[rows[0]],
                    periods,
                    *map(float, (*bounds, truths[rows].sum())),
                )
                for rows, *bounds in zip(
                    groups, sums, self._clipped(lower), self._clipped(upper), strict=True
                )
            ]
        return found

    def total_terms(self, frame: pd.DataFrame) -> dict[str, Floats]:
        """What each row adds to the totals that it ends, `conformal.TOTAL_TERMS`: its size, and where its horizon is
        one of `totals_` the margins and power of that total; NaN elsewhere.
        """
        horizons = self._horizons(frame)
        nothing = conformal.Margins(np.nan, np.nan, 0)
        of = {
            int(each): (self.totals_[each].of(each), self.totals_[each].power)
            if each in self.totals_
            else (nothing, np.nan)
            for each in np.unique(horizons)
        }
        found = [(m.below, m.above, power) for m, power in (of[int(each)] for each in horizons)]
        below, above, power = np.array(found, dtype=np.float64).reshape(-1, 3).T
        return dict(
            zip(conformal.TOTAL_TERMS, (self._sizes(frame), below, above, power), strict=True)
        )

    def attributed(self, frame: pd.DataFrame, shares: Floats) -> Floats:
        """Contributions in units of the outcome, (rows, columns of `frame`), from the regressor's.

        The baseline that was learned from gets what it says itself beyond its mean. Under a
        logarithmic link the shares multiply; each is weighted by the logarithmic mean of the
        forecast and the regressor's constant, which makes them add up (Ang, Energy Policy 32(9),
        2004: LMDI).
        """
        raw = self.unclipped(frame)
        if self._logarithmic(self.parameters_):
            moved = shares.sum(axis=1)
            still = np.abs(moved) < 1e-9
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = np.where(still, raw, raw * -np.expm1(-moved) / moved)
            return shares * mean[:, None]
        if self.target_.baseline is None:
            return shares
        _, scale = self._anchor(frame, self.target_)
        found = shares * (self.damping_ * scale)[:, None]
        column = list(frame.columns).index(self.terms.baselines[self.target_.baseline])
        found[:, column] += raw - found.sum(axis=1) - self.constant_
        return found

    def _chosen(
        self,
        frame: pd.DataFrame,
        labels: Floats,
        pairs: list[tuple[splits.Indices, splits.Indices]],
    ) -> _Choice:
        grid = list(ParameterGrid(dict(self.terms.grid)))
        targets = [Target()]
        if not any(self._logarithmic(parameters) for parameters in grid):
            targets += [
                Target(name, scaled) for name in self.terms.baselines for scaled in (False, True)
            ]

        def tried(target: Target, parameters: Mapping[str, Any]) -> _Choice:
            models = [
                self._learned(frame.iloc[learn], labels[learn], target, parameters)
                for learn, _ in pairs
            ]
            truth = np.concatenate([labels[held] for _, held in pairs])
            found = []
            for damping in DAMPINGS if target.baseline else DAMPINGS[:1]:
                values = np.concatenate(
                    [
                        self._said(model, frame.iloc[held], target, damping)
                        for model, (_, held) in zip(models, pairs, strict=True)
                    ]
                )
                error = float(np.mean(np.abs(truth - self._clipped(values))))
                found.append(_Choice(target, damping, parameters, values, error))
            return min(found, key=lambda choice: choice.error)

        first = min((tried(target, grid[0]) for target in targets), key=lambda each: each.error)
        others = [tried(first.target, parameters) for parameters in grid[1:]]
        return min([first, *others], key=lambda each: each.error)

    def _learned(
        self, frame: pd.DataFrame, labels: Floats, target: Target, parameters: Mapping[str, Any]
    ) -> Any:
        """The pipeline, fitted. In proportion to size, rows weigh by size: errors are judged in
        units of the outcome, and those of counts grow like its root.
        """
        model = estimators.pipeline(
            self.terms.estimator, self.terms.kinds, parameters, regressor=True
        )
        anchor, scale = self._anchor(frame, target)
        weighted = target.scaled and has_fit_parameter(model["estimator"], "sample_weight")
        weights = {"estimator__sample_weight": scale} if weighted else {}
        learned = frame[list(self.terms.kinds)]
        return estimators.fit(model, learned, (labels - anchor) / scale, **weights)

    def _said(self, model: Any, frame: pd.DataFrame, target: Target, damping: float) -> Floats:
        anchor, scale = self._anchor(frame, target)
        learned = np.asarray(model.predict(frame[list(self.terms.kinds)]), dtype=np.float64)
        return anchor + damping * scale * learned

    def _anchor(self, frame: pd.DataFrame, target: Target) -> tuple[Floats, Floats]:
        """What the learned number is added to, and multiplied with."""
        if target.baseline is None:
            return np.zeros(len(frame)), np.ones(len(frame))
        known = frame[self.terms.baselines[target.baseline]].to_numpy(dtype=np.float64)
        anchor = np.where(np.isnan(known), self._level(frame), known)
        return anchor, self._sizes(frame) if target.scaled else np.ones(len(frame))

    def _learn_sizes(self, frame: pd.DataFrame, labels: Floats) -> None:
        """What stands in for a level that no baseline knows, and the least size."""
        self.unknown_ = float(np.median(labels))
        known = self._baselines(frame)
        new = np.isnan(known).all(axis=1)
        if new.any():
            self.unknown_ = float(np.median(labels[new]))
        sizes = np.abs(self._level(frame))
        positive = sizes[sizes > 0]
        self.least_ = float(np.quantile(positive, SMALL)) if len(positive) else 1.0

    def _baselines(self, frame: pd.DataFrame) -> Floats:
        return frame[[*self.terms.baselines.values()]].to_numpy(dtype=np.float64)

    def _level(self, frame: pd.DataFrame) -> Floats:
        """The mean of the baselines that are known; of a series without a past, the median of such
        series' labels.
        """
        known = self._baselines(frame)
        counts = (~np.isnan(known)).sum(axis=1)
        sums = np.nansum(known, axis=1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), self.unknown_)

    def _sizes(self, frame: pd.DataFrame) -> Floats:
        return np.maximum(np.abs(self._level(frame)), self.least_)

    def _horizons(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        if self.terms.horizon not in frame:
            return np.ones(len(frame), dtype=np.int64)
        return frame[self.terms.horizon].to_numpy(dtype=np.float64).astype(np.int64)

    def _clipped(self, values: Floats) -> Floats:
        return np.maximum(values, 0.0) if self.terms.non_negative else values

    def _logarithmic(self, parameters: Mapping[str, Any]) -> bool:
        name = self.terms.estimator.rpartition(".")[2]
        return parameters.get("loss") in LOG_LINKS or name in LOG_LINEAR

    def _calibrate(
        self, frame: pd.DataFrame, labels: Floats, values: Floats, history: "_Past"
    ) -> None:
        sizes, horizons = self._sizes(frame), self._horizons(frame)
        self.calibration_ = conformal.calibrate(labels - values, sizes, horizons, self.terms.level)
        self.totals_: dict[int, conformal.Calibration] = {}
        self.without_: dict[int, str] = {}
        errors = labels - self._clipped(values)
        for periods in self.terms.totals:
            groups = list(_runs(history, horizons, periods))
            try:
                self.totals_[periods] = conformal.calibrate(
                    np.array([errors[rows].sum() for rows in groups]),
                    np.array([sizes[rows].sum() for rows in groups]),
                    np.full(len(groups), periods),
                    self.terms.level,
                )
            except TooLittleDataError as reason:
                self.without_[periods] = str(reason)


@dataclass(frozen=True)
class _Past:
    cutoffs: splits.Times
    matured: splits.Times
    entities: splits.Hashes


def _at(history: History, rows: splits.Indices) -> _Past:
    return _Past(history.cutoffs[rows], history.matured[rows], history.entities[rows])


def _runs(
    history: History, horizons: NDArray[np.int64], periods: int
) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each entity and cutoff that has all of the horizons 1 to `periods`, once."""
    order = np.lexsort((horizons, history.cutoffs, history.entities))
    order = order[horizons[order] <= periods]
    entities, cutoffs = history.entities[order], history.cutoffs[order]
    new = np.append(True, (entities[1:] != entities[:-1]) | (cutoffs[1:] != cutoffs[:-1]))
    for rows in np.split(order, np.flatnonzero(new)[1:]) if len(order) else []:
        if np.array_equal(horizons[rows], np.arange(1, periods + 1)):
            yield rows
