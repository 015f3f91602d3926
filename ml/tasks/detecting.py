"""What is unusual: an outlier detector whose score means the same in every build, and why.

A detector of scikit-learn or PyOD learns what is usual from a part of the history. The rest of the
history, other entities, says how often a usual row is as far out as a given one: that tail
probability is the score. It depends on training alone, so a row's score does not change with who
else is scored, and at most `flagged_share` of usual rows are flagged: a conformal p-value (Bates et
al., "Testing for outliers with conformal p-values", Annals of Statistics 51, 2023).
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from ml.core import words as in_words
from ml.core.errors import InsighteraError
from ml.core.sql import text
from ml.core.use_case import is_number
from ml.engine.protocol import key_text
from ml.tasks.anomaly import PERIODS
from ml.tasks.estimators import SEED, EstimatorError, as_floats, as_strings, fit
from ml.tasks.splits import Hashes, TooLittleDataError, judges, mixed

ALLOWED = (
    "sklearn.ensemble.IsolationForest",
    "sklearn.covariance.",
    "sklearn.neighbors.",
    "sklearn.svm.OneClassSVM",
    "pyod.models.",
)
# `novelty`: scikit-learn's local outlier factor says nothing of new rows without it.
DEFAULTS = {"random_state": SEED, "n_estimators": 100, "novelty": True, "n_jobs": 1}
# Of an isolation forest's tree. With scikit-learn's 256 average precision of the faults planted in
# OULAD's 2013J is 0.37, with 4,096 it is 0.50 (learned from 2013B; pickles of 2 and 10 MB).
TREE_ROWS = 4096
DECIMALS = 6
MINIMUM_ROWS = 50  # to learn from: the least of which a 5th and a 95th percentile are said
CALIBRATION_SALT = 41  # of the hash that sets entities aside: other ones than validation's
TAIL_ROWS = 50  # of the calibration side: their mean excess is how quickly the tail thins out
LEAST_TAIL = 1e-12  # beyond it a double no longer tells a score from 100
MOST_TAIL = 0.999  # of a deviate: how very usual a row is, nobody asks
INDICATED = (0.05, 0.95)  # missing as often as this in training, it is a pattern to learn from
USUAL = (0.05, 0.95)
NORMAL_MAD = 1.4826  # a normal distribution's standard deviation by its median absolute deviation
FARTHEST = 1e6  # of a scaled value: what detectors still compute with
SALIENT = 5
SAID = 3  # columns in a sentence
Floats = NDArray[np.float64]
Words = Callable[[str], tuple[str, str]]  # a feature's label and unit


@dataclass(frozen=True)
class Factor:
    """One column's part in a row's score. `contribution`: how many standard deviations (of the
    row's `z`) go when the column has its usual value.
    """

    feature: str
    value: Any  # None where missing
    usual_low: float | None  # None for a category
    usual_high: float | None
    contribution: float

    @property
    def is_outside(self) -> bool:
        """Whether the value is a number out of its usual range."""
        if self.value is None or self.usual_low is None or self.usual_high is None:
            return False
        return not self.usual_low <= float(self.value) <= self.usual_high


def estimator(path: str, **parameters: Any) -> Any:
    """The outlier detector at the dotted path, its seed constant.

    Raises EstimatorError for a path off the allow-list, one that is not installed, one without a
    decision about new rows, or a parameter that it does not know.
    """
    module, _, name = path.rpartition(".")
    if not path.startswith(ALLOWED):
        raise EstimatorError(
            f"Detector {path!r} is not allowed. Use one whose path starts with "
            f"{' or '.join(ALLOWED)}."
        )
    try:
        kind = getattr(import_module(module), name)
        known = kind().get_params()
    except (ImportError, AttributeError, TypeError) as error:
        raise EstimatorError(f"No outlier detector {path!r}: {error}.") from error
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise EstimatorError(f"{path} has no parameters {unknown}. It has {sorted(known)}.")
    try:
        made = kind(**{key: value for key, value in DEFAULTS.items() if key in known} | parameters)
    except (TypeError, ValueError) as error:  # scikit-learn's wait for `fit`, PyOD's do not
        raise EstimatorError(f"{path}: {error}") from error
    if not hasattr(made, "decision_function" if _is_pyod(path) else "score_samples"):
        raise EstimatorError(f"{path} says nothing of new rows. Choose a detector that does.")
    return made


class Detector:
    """An outlier detector over prepared columns, calibrated on rows that it did not learn from.

    `kinds` maps each feature to `number` or `category`; `flagged_share`: of usual rows, the most
    that may be flagged; `max_rows`: beyond it, whole entities are left out, those of the greatest
    hash. Pickles. Equal rows in any order give equal answers where `entities` are given.
    """

    def __init__(
        self,
        kinds: Mapping[str, str],
        flagged_share: float,
        path: str = "sklearn.ensemble.IsolationForest",
        parameters: Mapping[str, Any] | None = None,
        max_rows: int = 200_000,
    ) -> None:
        self.kinds = dict(kinds)
        self.flagged_share = flagged_share
        self.path = path
        self.parameters = dict(parameters or {})
        self.max_rows = max_rows
        if not 0 < flagged_share <= 0.5:
            raise InsighteraError(
                f"flagged_share is {flagged_share!r}; it must be above 0 and at most 0.5."
            )

    @property
    def features(self) -> list[str]:
        """The features, in the order of contributions and usual ranges."""
        return list(self.kinds)

    def fit(self, frame: pd.DataFrame, entities: Hashes | None = None) -> "Detector":
        """Learn what is usual from history: rows of the features; `entities`: a hash each.

        Raises TooLittleDataError where too few rows are left on a side, or no column varies.
        """
        hashes = np.arange(len(frame), dtype=np.uint64) if entities is None else entities
        taken = np.flatnonzero(sampled(hashes, self.max_rows))
        taken = taken[np.argsort(hashes[taken], kind="stable")]
        aside = judges(hashes[taken], CALIBRATION_SALT)
        learned, held = frame.iloc[taken[~aside]], frame.iloc[taken[aside]]
        least = ceil(1 / self.flagged_share) - 1
        if len(learned) < MINIMUM_ROWS or len(held) < least:
            raise TooLittleDataError(
                f"{len(learned)} rows to learn from and {len(held)} to calibrate on; to flag at "
                f"most {self.flagged_share:.1%} takes {MINIMUM_ROWS} and {least}"
            )
        self.rows_ = len(taken)
        self.columns_ = Columns(self.kinds).fit(learned)
        own = {"max_samples": min(TREE_ROWS, len(learned))} if _is_forest(self.path) else {}
        self.estimator_ = estimator(self.path, **(own | self.parameters))
        fit(self.estimator_, self.columns_.transform(learned))
        self.calibration_ = np.sort(self._outlyingness(self.columns_.transform(held)))
        self.calibration_robust_ = np.sort(self.columns_.robust_z(held))
        return self

    def decision(self, frame: pd.DataFrame) -> Floats:
        """How far out each row is, in the detector's own measure; greater is farther."""
        return self._outlyingness(self.columns_.transform(frame))

    def answers(self, frame: pd.DataFrame) -> dict[str, Floats]:
        """`tail`: share of usual rows as far out; `score` (0 to 100) = 100 (1 - tail); `z`: the
        normal deviate that is as rare (0 is the median); `flagged`: 1 or 0.
        """
        return self._answers(tail(self.decision(frame), self.calibration_))

    def baseline(self, frame: pd.DataFrame) -> dict[str, Floats]:
        """The same of the greatest robust z of the numbers: what a spreadsheet would say."""
        return self._answers(tail(self.columns_.robust_z(frame), self.calibration_robust_))

    def contributions(self, frame: pd.DataFrame) -> Floats:
        """How much of `z` goes when a feature has its usual value, (rows, features).

        The median for a number, a category as rare as most rows' for a category. Any detector can
        be asked so, and for an IsolationForest it is some ten times as fast as Tree SHAP (20
        features, 200 shallow trees, 1,000 rows: 0.2 s and 2 s).
        """
        values = self.columns_.transform(frame)
        whole = self._z(values)
        found = np.zeros((len(frame), len(self.kinds)))
        for position, name in enumerate(self.kinds):
            owned = self.columns_.owned(name)
            if owned.size:
                replaced = values.copy()
                replaced[:, owned] = self.columns_.usual_[owned]
                found[:, position] = whole - self._z(replaced)
        return found.round(DECIMALS)

    def leading(self, frame: pd.DataFrame, contributions: Floats) -> NDArray[np.int64]:
        """Position of the feature that moves each row's score most; where none does alone, of the
        one farthest from its median.
        """
        most = contributions.max(axis=1, initial=0.0) > 0
        farthest = np.abs(self.columns_.robust_each(frame)).argmax(axis=1)
        return np.asarray(np.where(most, contributions.argmax(axis=1), farthest))

    def usual(self) -> dict[str, list[float | None]]:
        """`usual_low` and `usual_high` of each feature, the 5th and 95th percentile of training."""
        low, high = (
            [self.columns_.ranges_.get(name, (None, None))[end] for name in self.kinds]
            for end in (0, 1)
        )
        return {"usual_low": low, "usual_high": high}

    def factors(self, frame: pd.DataFrame, contributions: Floats) -> list[list[Factor]]:
        """Of each row the five features that move its score most, the first most."""
        low, high = self.usual().values()
        names = self.features
        objects = {name: as_strings(frame[[name]])[:, 0] for name in names}
        order = np.argsort(-contributions, axis=1, kind="stable")[:, :SALIENT]
        return [
            [
                Factor(
                    feature=names[position],
                    value=objects[names[position]][row],
                    usual_low=low[position],
                    usual_high=high[position],
                    contribution=float(contributions[row, position]),
                )
                for position in positions
            ]
            for row, positions in enumerate(order)
        ]

    def words(
        self,
        frame: pd.DataFrame,
        flagged: NDArray[Any],
        types: Mapping[str, str] | None = None,
        words: Words | None = None,
    ) -> tuple[list[str | None], list[str | None]]:
        """What kind of anomaly each flagged row is, and why, in words; None for the others.

        `types` maps a feature to the kind it is a sign of; `words` as of `explanation`.
        """
        rows = np.flatnonzero(flagged)
        kinds: list[str | None] = [None] * len(frame)
        reasons = list(kinds)
        chosen = frame.iloc[rows]
        shares = self.contributions(chosen)
        named = anomaly_types(self.features, self.leading(chosen, shares), types)
        for row, kind, each in zip(rows, named, self.factors(chosen, shares), strict=True):
            kinds[row], reasons[row] = kind, explanation(each, words)
        return kinds, reasons

    def _outlyingness(self, values: Floats) -> Floats:
        if not len(values):
            return np.zeros(0)
        if _is_pyod(self.path):
            return np.asarray(self.estimator_.decision_function(values), dtype=np.float64)
        return -np.asarray(self.estimator_.score_samples(values), dtype=np.float64)

    def _z(self, values: Floats) -> Floats:
        return deviates(tail(self._outlyingness(values), self.calibration_))

    def _answers(self, tails: Floats) -> dict[str, Floats]:
        return {
            "tail": tails,
            "score": (100 * (1 - tails)).round(DECIMALS),
            "z": deviates(tails).round(DECIMALS),
            "flagged": (tails <= self.flagged_share).astype(np.float64),
        }


class Columns:
    """Features as a detector sees them: numbers by median and median absolute deviation,
    categories by their rarity (bits). What does not vary in training is left out.

    A missing value is the usual one, so it is no anomaly by itself; where training lacks it often
    (5 % to 95 %) an indicator says so, for what it means beside the other columns.
    """

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = dict(kinds)

    def fit(self, frame: pd.DataFrame) -> "Columns":
        """Medians, scales, shares of categories and usual ranges of these rows."""
        self.rarity_ = {name: _rarity(frame[name]) for name in self._of("category")}
        raw, missing = self._raw(frame)
        with np.errstate(all="ignore"):
            usual = np.array([_quantile(column, 0.5) for column in raw.T])
        filled = np.where(np.isnan(raw), usual, raw)
        self.usual_raw_, self.scale_ = usual, np.array([_scale(column) for column in filled.T])
        self.varies_ = self.scale_ > 0
        share = missing.mean(axis=0)
        self.indicated_ = (share >= INDICATED[0]) & (share <= INDICATED[1])
        if not (self.varies_.any() or self.indicated_.any()):
            raise TooLittleDataError("no feature varies over the history")
        names = np.array(list(self.kinds))
        self.owners_ = np.concatenate([names[self.varies_], names[self.indicated_]])
        self.usual_ = np.concatenate(
            [
                np.zeros(int(self.varies_.sum())),
                (share[self.indicated_] > 0.5).astype(np.float64),
            ]
        )
        self.ranges_ = {
            name: (_quantile(column, USUAL[0]), _quantile(column, USUAL[1]))
            for name, column in zip(self.kinds, raw.T, strict=True)
            if self.kinds[name] == "number" and not np.isnan(column).all()
        }
        return self

    def transform(self, frame: pd.DataFrame) -> Floats:
        """What the detector sees, (rows, columns)."""
        raw, missing = self._raw(frame)
        scaled = self._scaled(raw)[:, self.varies_]
        return np.hstack([scaled, missing[:, self.indicated_].astype(np.float64)])

    def owned(self, name: str) -> NDArray[np.int64]:
        """Positions of the columns made from a feature."""
        return np.flatnonzero(self.owners_ == name)

    def robust_each(self, frame: pd.DataFrame) -> Floats:
        """Each feature's distance from its median, in robust standard deviations; 0 where it is
        missing or never varied.
        """
        return np.where(self.varies_, self._scaled(self._raw(frame)[0]), 0.0)

    def robust_z(self, frame: pd.DataFrame) -> Floats:
        """The greatest distance of the numbers of each row."""
        numbers = np.array([kind == "number" for kind in self.kinds.values()], dtype=bool)
        each: Floats = np.abs(self.robust_each(frame)[:, numbers])
        return np.asarray(each.max(axis=1, initial=0.0), dtype=np.float64)

    def _scaled(self, raw: Floats) -> Floats:
        filled = np.where(np.isnan(raw), self.usual_raw_, raw)
        scale = np.where(self.varies_, self.scale_, 1.0)
        return np.asarray(np.clip((filled - self.usual_raw_) / scale, -FARTHEST, FARTHEST))

    def _raw(self, frame: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
        found = np.empty((len(frame), len(self.kinds)))
        missing = np.empty_like(found, dtype=bool)
        for position, (name, kind) in enumerate(self.kinds.items()):
            if kind == "category":
                bits = self.rarity_[name]
                values = as_strings(frame[[name]])[:, 0]
                rarest = max(bits.values(), default=0.0) + 1
                found[:, position] = [
                    np.nan if value is None else bits.get(str(value), rarest) for value in values
                ]
            else:
                numbers = as_floats(frame[[name]])[:, 0]
                found[:, position] = np.where(np.isfinite(numbers), numbers, np.nan)
            missing[:, position] = np.isnan(found[:, position])
        return found, missing

    def _of(self, kind: str) -> list[str]:
        return [name for name, what in self.kinds.items() if what == kind]


def tail(decisions: Floats, calibration: Floats) -> Floats:
    """Share of usual rows that are as far out, of decision values against sorted calibration ones.

    (1 + as many as are at least as far out) / (1 + all): what a rank among them would be. Beyond
    the farthest it goes on falling exponentially, by the mean excess of the fifty farthest (or the
    farthest tenth), so that the worst rows are still told apart.
    """
    number = len(calibration)
    farther = number - np.searchsorted(calibration, decisions, side="left")
    found = (1 + farther) / (1 + number)
    last = max(1, min(TAIL_ROWS, number // 10))
    start = calibration[-last - 1] if number > last else calibration[0]
    excess = float(np.mean(calibration[-last:] - start))
    beyond = np.maximum(decisions - calibration[-1], 0.0)
    if excess > 0:
        found = found * np.exp(-np.minimum(beyond / excess, 700.0))
    return np.maximum(found, LEAST_TAIL)


def deviates(tails: Floats) -> Floats:
    """The normal deviate with such a tail: 0.5 is 0, 0.0228 is 2, 0.00135 is 3."""
    return np.asarray(-ndtri(np.clip(tails, LEAST_TAIL, MOST_TAIL)), dtype=np.float64)


def sampled(entities: Hashes, most: int) -> NDArray[np.bool_]:
    """Which rows are taken where there are more than `most`: whole entities of the least hashes,
    the same in every build; at least one.
    """
    if len(entities) <= most:
        return np.ones(len(entities), dtype=bool)
    order = mixed(entities, CALIBRATION_SALT + 1)
    hashes, counts = np.unique(order, return_counts=True)
    taken = max(1, int(np.searchsorted(np.cumsum(counts), most, side="right")))
    return np.asarray(order <= hashes[taken - 1])


def severity(
    scores: Floats, flagged: NDArray[Any], severities: Mapping[str, float]
) -> list[str | None]:
    """Of each flagged row the name of the greatest lower bound that its score reaches."""
    ordered = sorted(severities.items(), key=lambda item: item[1])
    bounds = np.array([bound for _, bound in ordered])
    reached = np.searchsorted(bounds, scores, side="right") - 1
    return [
        ordered[position][0] if flag and position >= 0 else None
        for position, flag in zip(reached, flagged, strict=True)
    ]


def check_severities(where: str, severities: Any) -> None:
    """Every flagged row has one severity: bounds of the score are distinct, the lowest is 0."""
    if not isinstance(severities, Mapping) or not severities:
        raise InsighteraError(
            f"{where} is {severities!r}; write a lower bound of the score for each severity, such "
            "as {Low: 0, High: 99.5}."
        )
    wrong = {
        name: bound
        for name, bound in severities.items()
        if not name or not is_number(bound) or not 0 <= bound <= 100
    }
    if wrong:
        raise InsighteraError(f"{where}: {wrong} should be named bounds between 0 and 100.")
    bounds = sorted(severities.values())
    if len(set(bounds)) < len(bounds) or bounds[0] != 0:
        raise InsighteraError(
            f"{where} is {dict(severities)}: bounds must differ, and the lowest be 0."
        )


def unreached(severities: Mapping[str, float], flagged_share: float) -> list[str]:
    """The severities that no flagged row can have: its score is at least 100 (1 - share)."""
    ordered = sorted(severities.items(), key=lambda item: item[1])
    least = 100 * (1 - flagged_share)
    return [name for (name, _), (_, above) in itertools.pairwise(ordered) if above <= least]


def explanation(factors: Sequence[Factor], words: Words | None = None) -> str:
    """A row's factors as a sentence: `Attendance, 7 days: 10 % (usually 75 to 100 %)`.

    `words` gives a feature's label and unit; without it, it is called by its name.
    """
    moving = [factor for factor in factors if factor.contribution > 0]
    outside = [factor for factor in moving if factor.is_outside][:SAID]
    if outside:
        return "; ".join(_said(factor, words) for factor in outside)
    if not moving:
        return "nothing alone: an unusual combination"
    together = "; ".join(_said(factor, words) for factor in moving[:SAID])
    alone = len(moving) == 1 or moving[0].usual_low is None
    return together if alone else f"an unusual combination of {together}"


def anomaly_types(
    features: Sequence[str], leading: NDArray[np.int64], types: Mapping[str, str] | None = None
) -> list[str]:
    """What kind of anomaly each row is: that of its leading feature, else the feature's name."""
    kinds = [(types or {}).get(name, name) for name in features]
    return [kinds[position] for position in leading]


def anomaly_id_sql(
    quoted: Callable[..., str],
    use_case: str,
    keys: Sequence[str],
    period: str = "week",
    cutoff: str = "cutoff",
) -> str:
    """SQL: 32 hexadecimal digits, the same for an entity and the period of its cutoff in every
    build and on every engine.

    `quoted`: the engine's; `period`: day, week (ISO), month or year; `cutoff`: SQL of a timestamp.
    """
    if period not in PERIODS:
        raise InsighteraError(f"period is {period!r}; use one of {', '.join(PERIODS)}.")
    began = f"cast(cast(date_trunc('{period}', {cutoff}) as date) as string)"
    return f"md5(concat({text(use_case + '/')}, {began}, '/', {key_text(quoted, keys)}))"


def _said(factor: Factor, words: Words | None) -> str:
    label, unit = words(factor.feature) if words else in_words.label_of(factor.feature, {})
    said = in_words.value(factor.value, unit)
    if factor.value is None:
        said = f"{label}: {said}"
    else:
        said = f"{label}: {in_words.with_unit(said, unit)}"
    if factor.usual_low is None or factor.usual_high is None:
        return said if factor.value is None else f"{said}, which is rare"
    return f"{said} (usually {in_words.between(factor.usual_low, factor.usual_high, unit)})"


def _rarity(column: pd.Series) -> dict[str, float]:
    shares = column.dropna().astype(str).value_counts(normalize=True)
    return {str(name): float(-np.log2(share)) for name, share in shares.items()}


def _quantile(column: Floats, share: float) -> float:
    known = column[~np.isnan(column)]
    return float(np.quantile(known, share)) if len(known) else 0.0


def _scale(column: Floats) -> float:
    """A robust standard deviation; where more than half are alike, the plain one. 0: constant."""
    robust = NORMAL_MAD * float(np.median(np.abs(column - np.median(column))))
    return robust if robust > 0 else float(np.std(column))


def _is_forest(path: str) -> bool:
    return path == "sklearn.ensemble.IsolationForest"


def _is_pyod(path: str) -> bool:
    return path.startswith("pyod.")
