"""How good probabilities are: figures and pictures of one model on one set of rows."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from ml.tasks.pictures import curve
from ml.tasks.rates import wilson

CALIBRATION_BINS = 10
# Measure -> scikit-learn's scorer
SCORERS = {
    "roc_auc": "roc_auc",
    "pr_auc": "average_precision",
    "brier": "neg_brier_score",
    "log_loss": "neg_log_loss",
}


def measure(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """ROC AUC, PR AUC (average precision), Brier score, log loss (nats), calibration error and base
    rate.

    Both classes must be present. The calibration error is the expected one over ten bins of equal
    frequency: mean absolute difference of mean probability and observed rate (Nguyen & O'Connor
    2015).
    """
    _, means, rates, weights = _reliability(labels, probabilities)
    return {
        "roc_auc": float(roc_auc_score(labels, probabilities)),
        "pr_auc": float(average_precision_score(labels, probabilities)),
        "brier": float(brier_score_loss(labels, probabilities)),
        "log_loss": float(log_loss(labels, probabilities)),
        "calibration_error": float(np.sum(weights * np.abs(means - rates))),
        "base_rate": float(np.mean(labels)),
    }


def by_threshold(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    thresholds: Mapping[str, float],
) -> dict[str, dict[str, float | None]]:
    """For each category: its lower bound, the share of rows at or above it, precision and recall
    there.

    Precision is None where no row reaches the bound.
    """
    found: dict[str, dict[str, float | None]] = {}
    for category, bound in thresholds.items():
        flagged = probabilities >= bound
        hits = float(labels[flagged].sum())
        found[category] = {
            "lower_bound": float(bound),
            "share": float(flagged.mean()),
            "precision": hits / float(flagged.sum()) if flagged.any() else None,
            "recall": hits / float(labels.sum()) if labels.any() else None,
        }
    return found


@dataclass(frozen=True)
class Band:
    """What a category promised and what came: probabilities from `lower_bound` to below
    `upper_bound`.

    `mean_probability` and `observed_rate` are None where no row is in the band. `interval`: of the
    observed rate at 95 %, Wilson's (1927) with the entities as trials, since rows of one entity say
    nearly the same.
    """

    category: str
    lower_bound: float
    upper_bound: float
    rows: int
    entities: int
    mean_probability: float | None
    observed_rate: float | None
    interval: tuple[float, float] | None


def by_band(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    entities: NDArray[Any],
    thresholds: Mapping[str, float],
) -> list[Band]:
    """Each category's promise beside what came, the lowest first. `entities`: one key per row."""
    ordered = sorted(thresholds.items(), key=lambda item: item[1])
    uppers = [float(bound) for _, bound in ordered[1:]] + [1.0]
    found = []
    for (category, lower), upper in zip(ordered, uppers, strict=True):
        # who has a probability of 1 is in the highest band
        held = (probabilities >= lower) & ((probabilities < upper) | (upper == 1.0))
        rows, people = int(held.sum()), len(np.unique(entities[held]))
        rate = float(labels[held].mean()) if rows else None
        found.append(
            Band(
                category=category,
                lower_bound=float(lower),
                upper_bound=upper,
                rows=rows,
                entities=people,
                mean_probability=float(probabilities[held].mean()) if rows else None,
                observed_rate=rate,
                interval=None if rate is None else wilson(rate, people),
            )
        )
    return found


def band_warnings(bands: Sequence[Band]) -> list[str]:
    """A sentence for each band whose observed rate is outside its bounds, and for each that is no
    more precise than the band below it. Bands without rows promise nothing.
    """
    known = [band for band in bands if band.observed_rate is not None]
    sentences = []
    for band in known:
        rate, (low, high) = band.observed_rate or 0.0, band.interval or (0.0, 1.0)
        if not band.lower_bound <= rate <= band.upper_bound:
            chance = low <= band.upper_bound and high >= band.lower_bound
            sentences.append(
                f"{band.category} promises {band.lower_bound:.0%} to {band.upper_bound:.0%}, "
                f"{rate:.0%} came true ({low:.0%} to {high:.0%} at 95 %, {band.entities:,} "
                f"entities{': it may be chance' if chance else ''})"
            )
    for below, above in itertools.pairwise(known):
        if (above.observed_rate or 0.0) <= (below.observed_rate or 0.0):
            sentences.append(
                f"{above.category} came true no more often than {below.category} "
                f"({above.observed_rate:.0%} and {below.observed_rate:.0%})"
            )
    return sentences


def pictures(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
) -> dict[str, bytes]:
    """PNG files by name: ROC, precision-recall and calibration curves."""
    false_rate, true_rate, _ = roc_curve(labels, probabilities)
    precision, recall, _ = precision_recall_curve(labels, probabilities)
    _, means, rates, _ = _reliability(labels, probabilities)
    base = float(np.mean(labels))
    return {
        "roc.png": curve(
            [(false_rate, true_rate, "model"), ([0, 1], [0, 1], "chance")],
            ("False positive rate", "True positive rate", "ROC"),
        ),
        "precision_recall.png": curve(
            [(recall, precision, "model"), ([0, 1], [base, base], "base rate")],
            ("Recall", "Precision", "Precision and recall"),
        ),
        "calibration.png": curve(
            [(means, rates, "model"), ([0, 1], [0, 1], "perfect")],
            ("Mean predicted probability", "Observed rate", "Calibration, bins of equal frequency"),
            marker="o",
        ),
    }


def _reliability(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bins of equal frequency (equal probabilities share one): number, mean probability, rate,
    weight.
    """
    edges = np.unique(np.quantile(probabilities, np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS))
    bins = np.searchsorted(edges, probabilities, side="left")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    held = np.flatnonzero(counts)
    means = np.bincount(bins, probabilities, minlength=len(edges) + 1)[held] / counts[held]
    rates = np.bincount(bins, labels, minlength=len(edges) + 1)[held] / counts[held]
    return held, means, rates, counts[held] / len(labels)
