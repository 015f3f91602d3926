"""What a model reads of Arrow columns, and the digest of it. Nothing of scikit-learn is loaded here:
most builds find that nothing changed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.core.errors import InsighteraError


def kind(arrow: pa.DataType) -> str | None:
    """`number` (also booleans and decimals), `category` (strings), or None: no feature."""
    if pa.types.is_dictionary(arrow):
        return kind(arrow.value_type)
    if (
        pa.types.is_integer(arrow)
        or pa.types.is_floating(arrow)
        or pa.types.is_boolean(arrow)
        or pa.types.is_decimal(arrow)
    ):
        return "number"
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow):
        return "category"
    return None


def frame(table: pa.Table, columns: Sequence[str]) -> pd.DataFrame:
    """The columns as an estimator reads them: numbers as float64 (NULL is NaN), strings as objects
    (NULL is None).

    Raises InsighteraError for a column that is missing or is neither.
    """
    missing = sorted(set(columns) - set(table.column_names))
    if missing:
        raise InsighteraError(f"The rows lack the feature columns {missing}.")
    held: dict[str, Any] = {}
    for name in columns:
        column = table[name]
        what = kind(column.type)
        if what is None and pa.types.is_null(column.type):
            held[name] = np.full(len(column), np.nan)
        elif what == "number":
            held[name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        elif what == "category":
            held[name] = np.asarray(column.cast(pa.string()).to_pylist(), dtype=object)
        else:
            raise InsighteraError(f"Feature column {name} has type {column.type}: not a feature.")
    return pd.DataFrame(held, columns=list(columns))


def digest(table: pa.Table, columns: Sequence[str]) -> pa.Array:
    """Of each row the values that a model reads, as one text: 64 bits as a decimal number.

    pandas' `hash_pandas_object`, to which a row's neighbours make no difference. A NULL and a NaN are
    one value, and so are both zeros. Two rows of other values agree once in 10^19.
    """
    read = frame(table, columns)
    for name in read.select_dtypes("number"):
        values = read[name].to_numpy() + 0.0  # -0.0 is 0.0
        values[np.isnan(values)] = np.nan  # of one sign
        read[name] = values
    return pa.array(pd.util.hash_pandas_object(read, index=False).to_numpy()).cast(pa.string())
