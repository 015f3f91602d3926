"""Point-in-time joins, look-ups, and what a model reads of them."""

from ml.features.point_in_time import (
    HIDDEN,
    LONGEST,
    MACROS,
    UTC,
    VALIDITY,
    point_in_time_join,
)

__all__ = [
    "HIDDEN",
    "LONGEST",
    "MACROS",
    "UTC",
    "VALIDITY",
    "point_in_time_join",
]
