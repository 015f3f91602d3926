"""How good probabilities are: figures and pictures of one model on one set of rows."""

from collections.abc import Mapping
from io import BytesIO
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

CALIBRATION_BINS = 10
# Measure -> (scikit-learn's name for the grid, whether more is better)
MEASURES = {
    "roc_auc": ("roc_auc", True),
    "pr_auc": ("average_precision", True),
    "brier": ("neg_brier_score", False),
    "log_loss": ("neg_log_loss", False),
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


def pictures(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    importances: Mapping[str, float],
    measured: str,
) -> dict[str, bytes]:
    """PNG files by name: ROC, precision-recall and calibration curves, and importances (drop of
    `measured`).
    """
    false_rate, true_rate, _ = roc_curve(labels, probabilities)
    precision, recall, _ = precision_recall_curve(labels, probabilities)
    _, means, rates, _ = _reliability(labels, probabilities)
    base = float(np.mean(labels))
    ordered = sorted(importances.items(), key=lambda item: item[1])
    return {
        "roc.png": _curve(
            [(false_rate, true_rate, "model"), ([0, 1], [0, 1], "chance")],
            ("False positive rate", "True positive rate", "ROC"),
        ),
        "precision_recall.png": _curve(
            [(recall, precision, "model"), ([0, 1], [base, base], "base rate")],
            ("Recall", "Precision", "Precision and recall"),
        ),
        "calibration.png": _curve(
            [(means, rates, "model"), ([0, 1], [0, 1], "perfect")],
            ("Mean predicted probability", "Observed rate", "Calibration, bins of equal frequency"),
            marker="o",
        ),
        "importances.png": _bars(ordered, f"Drop of {measured} when the feature is shuffled"),
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


def _curve(
    lines: list[tuple[Any, Any, str]], words: tuple[str, str, str], marker: str = ""
) -> bytes:
    from matplotlib.figure import Figure  # without pyplot: no state, no screen, the Agg canvas

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for number, (x, y, name) in enumerate(lines):
        axes.plot(
            x, y, label=name, marker="" if number else marker, linestyle="--" if number else "-"
        )
    axes.set(
        xlabel=words[0], ylabel=words[1], title=words[2], xlim=(-0.01, 1.01), ylim=(-0.01, 1.01)
    )
    axes.legend(loc="best")
    return _png(figure)


def _bars(ordered: list[tuple[str, float]], title: str) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1 + 0.25 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in ordered], [value for _, value in ordered])
    axes.set(title=title)
    return _png(figure)


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
