"""A classifier's card: what each threshold and each band of probabilities promises, and what came."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.tasks import evaluation
from ml.tasks.evaluation import Band, band_warnings
from ml.tasks.markdown import bullets, number, percent, table


def thresholds_section(
    truth: NDArray[np.int64], probabilities: NDArray[np.float64], thresholds: Mapping[str, float]
) -> str:
    """Share, precision and recall at or above each category's lower bound."""
    found = evaluation.by_threshold(truth, probabilities, thresholds)
    return "## At each threshold\n\n" + table(
        ("category", "from probability", "share of rows", "precision", "recall"),
        [(category, *map(number, each.values())) for category, each in found.items()],
    )


def bands_section(bands: Sequence[Band]) -> str:
    """What each category promises beside what came true."""
    rows = [
        (
            band.category,
            f"{band.lower_bound:.0%} to {band.upper_bound:.0%}",
            percent(band.mean_probability),
            percent(band.observed_rate),
            "-" if band.interval is None else " to ".join(f"{end:.0%}" for end in band.interval),
            f"{band.rows:,}",
            f"{band.entities:,}",
        )
        for band in bands
    ]
    warnings = band_warnings(bands)
    return (
        "## In each band\n\nWhat a category promises, and for how many of the validation rows it "
        "came true. The interval is Wilson's at 95 %, with entities as trials: rows of one entity "
        "say nearly the same.\n\n"
        + table(
            (
                *("category", "promised", "mean probability", "came true", "interval"),
                *("rows", "entities"),
            ),
            rows,
        )
        + "\n\n"
        + (
            bullets([f"**Warning**: {sentence}." for sentence in warnings])
            if warnings
            else "Each band's rate lies within its bounds, and rises from band to band."
        )
    )
