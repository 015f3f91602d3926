"""How sure a share is: Wilson's interval, and the precision of what people reviewed."""

from dataclasses import dataclass
from math import sqrt

DEVIATIONS = 1.959964  # of the normal distribution, on either side of 95 %
# Below it a share says little: of 10 of 20 confirmed, the interval is from 30 % to 70 %.
ENOUGH_REVIEWS = 20


@dataclass(frozen=True)
class Reviewed:
    """Reviews of flagged rows. `precision` and its interval (Wilson's, 95 %) are None below twenty
    reviews.
    """

    confirmed: int
    false_alarms: int
    precision: float | None
    interval: tuple[float, float] | None

    @property
    def reviews(self) -> int:
        """How many there are."""
        return self.confirmed + self.false_alarms

    @property
    def words(self) -> str:
        """What they say, or that they are too few to say it."""
        if self.precision is None or self.interval is None:
            return (
                f"{self.reviews} of the {ENOUGH_REVIEWS} reviews that it takes to say how often a "
                f"flag is right ({self.confirmed} confirmed, {self.false_alarms} false alarms)"
            )
        low, high = self.interval
        return (
            f"of {self.reviews:,} reviewed, {self.precision:.0%} were confirmed ({low:.0%} to "
            f"{high:.0%} at 95 %)"
        )


def wilson(rate: float, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a rate at 95 %. Source: Wilson, JASA 22(158), 1927."""
    square = DEVIATIONS**2 / trials
    middle = (rate + square / 2) / (1 + square)
    half = DEVIATIONS * sqrt(rate * (1 - rate) / trials + square / (4 * trials)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def reviewed(confirmed: int, false_alarms: int) -> Reviewed:
    """The precision of what was reviewed, once there are twenty reviews."""
    number = confirmed + false_alarms
    if number < ENOUGH_REVIEWS:
        return Reviewed(confirmed, false_alarms, None, None)
    rate = confirmed / number
    return Reviewed(confirmed, false_alarms, rate, wilson(rate, number))
