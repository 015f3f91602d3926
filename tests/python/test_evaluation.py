"""What the risk categories promise, held against what came."""

import numpy as np
import pytest

from ml.tasks import evaluation, rates

THRESHOLDS = {"High": 0.6, "Low": 0.0, "Medium": 0.3}  # in no order


def bands(
    rows: list[tuple[float, int, int, int]], thresholds: dict[str, float] = THRESHOLDS
) -> list[evaluation.Band]:
    """Of (probability, rows, positives, entities)."""
    probabilities, labels, entities = [], [], []
    for number, (probability, count, positives, people) in enumerate(rows):
        probabilities += [probability] * count
        labels += [1] * positives + [0] * (count - positives)
        entities += [1000 * number + row % people for row in range(count)]
    return evaluation.by_band(
        np.array(labels), np.array(probabilities), np.array(entities), thresholds
    )


def test_each_band_has_what_it_promised_and_what_came() -> None:
    low, medium, high = bands([(0.1, 100, 5, 50), (0.3, 10, 4, 5), (0.6, 4, 3, 2), (1.0, 4, 3, 2)])
    assert [band.category for band in (low, medium, high)] == ["Low", "Medium", "High"]
    assert (low.rows, low.entities, low.observed_rate) == (100, 50, 0.05)
    assert (medium.lower_bound, medium.upper_bound) == (0.3, 0.6)  # its lower bound is in it
    assert (medium.rows, medium.mean_probability) == (10, pytest.approx(0.3))
    assert (high.rows, high.entities, high.mean_probability) == (8, 4, pytest.approx(0.8))
    assert high.upper_bound == 1.0


def test_wilson_of_the_textbook() -> None:
    """Newcombe (Statistics in Medicine 17, 1998), table I: 81/263, 15/148, 0/20 and 1/29."""
    for hits, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert rates.wilson(hits / trials, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        # as promised
        ([(0.1, 100, 5, 50), (0.4, 10, 4, 5), (0.8, 10, 8, 5)], []),
        # a band without rows promises nothing
        ([(0.1, 100, 5, 50)], []),
        # few entities: it may be chance
        (
            [(0.1, 100, 5, 50), (0.4, 10, 4, 5), (0.8, 10, 5, 5)],
            ["High promises 60% to 100%, 50% came true (17% to 83% at 95 %, 5 entities: it may be"],
        ),
        # many: it is not, and Medium does better than High
        (
            [(0.1, 100, 5, 50), (0.4, 400, 160, 400), (0.8, 400, 120, 400)],
            [
                "High promises 60% to 100%, 30% came true (26% to 35%",
                "High came true no more often",
            ],
        ),
    ],
)
def test_broken_promises_are_said(
    rows: list[tuple[float, int, int, int]], sentences: list[str]
) -> None:
    said = evaluation.band_warnings(bands(rows))
    assert len(said) == len(sentences)
    for sentence, beginning in zip(said, sentences, strict=True):
        assert sentence.startswith(beginning)
    assert all(("may be chance" in sentence) == ("5 entities" in sentence) for sentence in said)
