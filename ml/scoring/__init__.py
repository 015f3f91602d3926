"""Scores what changed, into an audit branch."""

from ml.scoring.step import (
    FACTORS,
    STAMP,
    output_schema,
    predicted,
    score,
    strongest,
    with_hash,
)

__all__ = [
    "FACTORS",
    "STAMP",
    "output_schema",
    "predicted",
    "score",
    "strongest",
    "with_hash",
]
