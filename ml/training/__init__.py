"""Whether to train, and the training: join, select, search, calibrate, judge, register."""

from ml.training.policy import DECISION, MEASURED, VERSIONS, measures, train, versions

__all__ = ["DECISION", "MEASURED", "VERSIONS", "measures", "train", "versions"]
