"""Point-in-time joins, look-ups, and what a model reads of them."""

from ml.features.point_in_time import (
    LONGEST,
    MACROS,
    SINCE,
    UTC,
    VALIDITY,
    Reading,
    point_in_time_join,
    readings,
)

__all__ = [
    "LONGEST",
    "MACROS",
    "SINCE",
    "UTC",
    "VALIDITY",
    "Reading",
    "point_in_time_join",
    "readings",
]
