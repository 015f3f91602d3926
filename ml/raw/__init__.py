"""The raw contract, files that keep it, importers that write it, and the demo university."""

from ml.raw.intake import (
    Found,
    examine,
    open_raw,
    refuse_vanished,
    table_files,
)

__all__ = [
    "Found",
    "examine",
    "open_raw",
    "refuse_vanished",
    "table_files",
]
