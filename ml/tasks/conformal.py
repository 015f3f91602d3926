"""Intervals of forecasts from errors that were made on later periods: split conformal prediction.

A margin is a quantile of errors that the procedure made where it did not know the answer (Vovk,
Gammerman & Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., JASA 113, 2018). It
holds without a distribution; it does not hold where the future errs otherwise than the past, which
is why coverage is measured again on later periods.

MAPIE is not used: it calibrates one set of scores a model, while margins here are by horizon, of
totals, and from errors made at several origins. What would be left for it to compute is `quantile`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.tasks.splits import TooLittleDataError

Floats = NDArray[np.float64]

HORIZON_ROWS = 50  # errors from which a horizon has margins of its own
POWERS = (0.0, 0.5, 1.0)  # errors of all sizes alike; as of counts; in proportion
# What an answer adds to the total that it ends, or is part of.
TOTAL_TERMS = ("total_size", "total_below", "total_above", "total_power")


@dataclass(frozen=True)
class Margins:
    """How far the truth may lie below and above a forecast, in units of its scale."""

    below: float
    above: float
    errors: int  # it was learned from


@dataclass(frozen=True)
class Calibration:
    """Margins by horizon. `pooled` is of all horizons; `horizons` holds those with enough rows."""

    level: float
    power: float  # of a series' size: errors grow like size ** power
    pooled: Margins
    horizons: Mapping[int, Margins]

    def bounds(
        self, values: Floats, sizes: Floats, horizons: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Lower and upper, aligned with the forecasts; lower <= value <= upper."""
        scales = sizes**self.power
        found = {int(each): self.of(int(each)) for each in np.unique(horizons)}
        below = np.array([found[int(each)].below for each in horizons])
        above = np.array([found[int(each)].above for each in horizons])
        return values - scales * below, values + scales * above

    def of(self, horizon: int) -> Margins:
        """A horizon's margins: its own, else the next longer one's (errors grow with the horizon),
        else the longest's, else those of all.
        """
        longer = [each for each in self.horizons if each >= horizon]
        if longer:
            return self.horizons[min(longer)]
        return self.horizons[max(self.horizons)] if self.horizons else self.pooled


def calibrate(
    errors: Floats, sizes: Floats, horizons: NDArray[np.int64], level: float
) -> Calibration:
    """Margins for intervals that hold `level` of the truths.

    `errors` are truth minus forecast on rows that were not learned from, `sizes` (positive) the
    series' own. Errors of series of every size are made alike by dividing by size ** power, with
    the power under which they are likeliest (`likeliest_power`). Raises TooLittleDataError where
    the errors are too few for the level.
    """
    power = likeliest_power(errors, sizes)
    scaled = errors / sizes**power
    numbers, counts = np.unique(horizons, return_counts=True)
    own = {
        int(horizon): margins(scaled[horizons == horizon], level)
        for horizon, count in zip(numbers, counts, strict=True)
        if count >= max(HORIZON_ROWS, fewest(level))
    }
    return Calibration(level, power, margins(scaled, level), own)


def margins(scaled: Floats, level: float) -> Margins:
    """Below and above, each missed by half of what the interval may miss: errors are skewed.

    Source: Linusson, Johansson & Löfström, Signed-error conformal regression (2014).
    """
    tail = (1 + level) / 2
    return Margins(
        below=max(0.0, quantile(-scaled, tail)),
        above=max(0.0, quantile(scaled, tail)),
        errors=len(scaled),
    )


def quantile(scores: Floats, level: float) -> float:
    """The ceil((n + 1) level)-th smallest of n scores: a further score of the same kind is at most
    this with probability `level` or more. Raises TooLittleDataError where n is too small for any.
    """
    number = len(scores)
    rank = int(np.ceil(round((number + 1) * level, 9)))
    if rank > number:
        raise TooLittleDataError(
            f"{number} forecasts whose truth is known are too few for an interval: a tail of "
            f"{1 - level:.0%} takes {int(np.ceil(round(level / (1 - level), 9)))}"
        )
    return float(np.partition(scores, rank - 1)[rank - 1])


def fewest(level: float) -> int:
    """Errors that an interval of this level takes at least."""
    tail = (1 + level) / 2
    return int(np.ceil(round(tail / (1 - tail), 9)))


def likeliest_power(errors: Floats, sizes: Floats) -> float:
    """How errors grow with size: the power of `POWERS` with the greatest Laplace likelihood.

    The variance function "power of the mean" (Carroll & Ruppert, Transformation and Weighting in
    Regression, 1988, ch. 3).
    """

    def loss(power: float) -> float:
        typical = max(float(np.mean(np.abs(errors) / sizes**power)), np.finfo(float).tiny)
        return float(np.log(typical) + power * np.mean(np.log(sizes)))

    return min(POWERS, key=loss)
