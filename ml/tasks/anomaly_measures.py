"""How good an anomaly detector is, and what its card says: figures and Markdown.

Without truth and without reviews nothing says whether what is flagged is worth a look; the card
then says just that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from ml.core.words import value, with_unit
from ml.tasks.markdown import table
from ml.tasks.rates import Reviewed

TOLERATED = 1.5  # times the share that is meant: rows of one entity come together, so it varies
MANY = 3  # times that share, in one period: then it is the period that is unusual
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Period:
    """The rows of one cutoff."""

    cutoff: np.datetime64
    rows: int
    flagged: int


def average_precision(truth: NDArray[np.bool_], scores: Floats) -> float:
    """Area under precision and recall; chance is the share of true rows. NaN without a true row."""
    return float(average_precision_score(truth, scores)) if truth.any() else float("nan")


def found_at(truth: NDArray[np.bool_], scores: Floats, share: float) -> float:
    """Share of the true rows among the `share` of all rows that score highest.

    Of rows with equal scores at the bound, each counts by the chance to be among them. NaN without
    a true row.
    """
    if not truth.any():
        return float("nan")
    room = share * len(scores)
    ordered = np.sort(scores)[::-1]
    bound = ordered[min(len(ordered), max(1, int(np.ceil(room)))) - 1]
    above, at = scores > bound, scores == bound
    chance = min(1.0, max(0.0, (room - above.sum()) / at.sum()))
    return float((truth[above].sum() + chance * truth[at].sum()) / truth.sum())


def measure(
    flagged: NDArray[Any],
    baseline: NDArray[Any],
    truth: NDArray[np.bool_] | None = None,
    scores: Floats | None = None,
) -> dict[str, float]:
    """`flagged_share` and `overlap` with the baseline; of truth, where it is given with scores,
    `planted_found` (share of true rows flagged), `precision` and `average_precision`.
    """
    own, other = flagged.astype(bool), baseline.astype(bool)
    found = {"flagged_share": float(own.mean()), "overlap": overlap(own, other)}
    if truth is not None and scores is not None and truth.any():
        found |= {
            "planted_found": float(own[truth].mean()),
            "precision": float(truth[own].mean()) if own.any() else 0.0,
            "average_precision": average_precision(truth, scores),
        }
    return found


def overlap(flagged: NDArray[Any], baseline: NDArray[Any]) -> float:
    """Of the rows that either flags, the share that both flag; 1 where neither flags any."""
    own, other = flagged.astype(bool), baseline.astype(bool)
    either = int((own | other).sum())
    return float((own & other).sum() / either) if either else 1.0


def by_period(cutoffs: NDArray[np.datetime64], flagged: NDArray[Any]) -> list[Period]:
    """Rows and flagged rows of each cutoff, in their order."""
    instants, positions = np.unique(cutoffs, return_inverse=True)
    rows = np.bincount(positions, minlength=len(instants))
    hits = np.bincount(positions, weights=flagged.astype(np.float64), minlength=len(instants))
    return [
        Period(instant, int(number), round(hit))
        for instant, number, hit in zip(instants, rows, hits, strict=True)
    ]


def score_section(flagged_share: float, severities: Mapping[str, float]) -> str:
    """What a score, a severity and the explanation mean."""
    from ml.tasks.detecting import unreached

    bounds = sorted(severities.items(), key=lambda item: item[1])
    never = unreached(severities, flagged_share)
    lines = [
        "## What a score means",
        "",
        "A score of 99 means: of a hundred usual rows of the past, 99 are less unusual than this "
        "one. It is measured on entities that the detector did not learn from, and means the same "
        "in every build until a new version is trained. Unusual is not wrong: look, ask, and say "
        "what it was (`insightera anomalies resolve`).",
        "",
        f"A row is flagged from a score of {100 * (1 - flagged_share):g} on. "
        f"Severity, by the score of a flagged row: "
        f"{', '.join(f'{name} from {bound:g}' for name, bound in bounds)}.",
    ]
    if never:
        lines += ["", f"**Warning**: no flagged row can be {' or '.join(never)}."]
    return "\n".join(lines)


def expectation_section(periods: Sequence[Period], flagged_share: float, noun: str = "week") -> str:
    """How many are flagged, in a typical period and in the worst, among rows of the past that the
    detector did not see.
    """
    head = "## How many to expect\n\n"
    known = [period for period in periods if period.rows]
    if not known:
        return head + "No row of the past was set aside to count on."
    rates = np.array([period.flagged / period.rows for period in known])
    worst = known[int(rates.argmax())]
    typical = float(np.median(rates))
    size = int(np.median([period.rows for period in known]))
    together = sum(period.flagged for period in known) / sum(period.rows for period in known)
    text = (
        f"{head}In a typical {noun} {typical:.1%} are flagged: {typical * size:.0f} of {size:,}. "
        f"Over all {noun}s together it was {together:.1%}; of usual rows at most "
        f"{flagged_share:.1%} are meant to be. A {noun} that is unusual for everyone (holidays, a "
        f"strike, a broken feed) can have more: the worst of {len(known)} was "
        f"{_day(worst.cutoff)} with {rates.max():.1%} ({worst.flagged:,} of {worst.rows:,})."
    )
    if together > TOLERATED * flagged_share:
        text += (
            f"\n\n**Warning**: {together:.1%} is more than was meant: these {noun}s are unlike "
            "those that were learned from."
        )
    if rates.max() > MANY * flagged_share:
        text += (
            f"\n\n**Warning**: {rates.max():.1%} is more than three times what was meant. Look "
            f"for what happened to everyone in that {noun} before looking at single rows."
        )
    return text


def planted_section(measures: Mapping[str, float], baseline: Mapping[str, float]) -> str:
    """What was found of faults that are known, or that none are."""
    head = "## Known faults\n\n"
    if "planted_found" not in measures:
        return head + (
            "Not measurable: nobody said which rows of the past were faulty. "
            f"Of what either flags, this detector and robust z (the farthest column alone) share "
            f"{measures['overlap']:.0%}."
        )
    return head + (
        f"Of the planted faults {measures['planted_found']:.0%} were flagged, and "
        f"{measures['precision']:.0%} of what was flagged was planted. Robust z (the farthest "
        f"column alone) finds {baseline['planted_found']:.0%}. Average precision: "
        f"{measures['average_precision']:.3f}, robust z {baseline['average_precision']:.3f}."
    )


def reviews_section(reviews: Reviewed) -> str:
    """What people said of the flagged rows that they looked at."""
    said = f"## What people found\n\nOf what earlier versions flagged: {reviews.words}."
    if reviews.precision is None:
        return said
    return f"{said} It is said of those that someone chose to look at, not of all that are flagged."


def usual_section(
    features: Sequence[str],
    usual: Mapping[str, Sequence[float | None]],
    words: Callable[[str], tuple[str, str]],
) -> str:
    """Each feature's usual range: from the 5th to the 95th percentile of what was learned from.
    `words` gives a feature's label and unit.
    """
    rows = []
    for name, *ends in zip(features, usual["usual_low"], usual["usual_high"], strict=True):
        label, unit = words(name)
        said = ["-" if end is None else value(end, unit) for end in ends]
        rows.append((with_unit(label, unit, "{} ({})"), *said))
    return (
        "## What is usual\n\nNine of ten rows of the past lie between these. A category has no "
        "range: it is unusual by being rare.\n\n" + table(("feature", "usually from", "to"), rows)
    )


def _day(instant: np.datetime64) -> str:
    return str(instant.astype("datetime64[D]"))
