"""What SQL cannot read of drift and performance by itself."""

from ml.monitoring.history import (
    ENTITY_SEPARATOR,
    HISTORY,
    VERSION,
    prediction_history,
    training_set,
)
from ml.monitoring.reviews import REVIEWED, reviews

__all__ = [
    "ENTITY_SEPARATOR",
    "HISTORY",
    "REVIEWED",
    "VERSION",
    "prediction_history",
    "reviews",
    "training_set",
]
