"""Whether to train, and the training: join, select, search, calibrate, judge, register."""

from ml.training.policy import DECISION, VERSIONS, train, versions

__all__ = ["DECISION", "VERSIONS", "train", "versions"]
