"""Scores what changed, into an audit branch."""

from ml.scoring.step import (
    DECIMALS,
    FACTORS,
    LIKELY,
    STAMP,
    output_schema,
    predicted,
    score,
    strongest,
    with_hash,
)

__all__ = [
    "DECIMALS",
    "FACTORS",
    "LIKELY",
    "STAMP",
    "output_schema",
    "predicted",
    "score",
    "strongest",
    "with_hash",
]
