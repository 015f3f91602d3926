"""The gate to `main`, and what it published."""

from ml.publishing.gate import (
    RECEIPT,
    RECEIPTS,
    STAMP,
    publish,
    receipts,
    reconcile,
    rollback,
)

__all__ = [
    "RECEIPT",
    "RECEIPTS",
    "STAMP",
    "publish",
    "receipts",
    "reconcile",
    "rollback",
]
