"""What a model reads of Arrow columns, and the digest of it. Nothing of scikit-learn is loaded here:
most builds find that nothing changed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml.core.errors import InsighteraError

# Of each feature {"splits": numbers in ascending order}, and "categories", whose positions those split,
# where it is one; of a feature that is not in it a model may see every value.
Sight = Mapping[str, Mapping[str, Any]]


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


def digest(table: pa.Table, columns: Sequence[str], sight: Sight | None = None) -> pa.Array:
    """Of each row what a model sees of its values, as one text: 64 bits as a decimal number. Without
    `sight` it may see all of them.

    pandas' `hash_pandas_object`, to which a row's neighbours make no difference. A NULL and a NaN are
    one value, and so are both zeros. Two rows that a model tells apart agree once in 10^19.
    """
    read = frame(table, columns)
    for name, told in (sight or {}).items():
        if name in read and (read[name].dtype == object) == ("categories" in told):
            read[name] = _places(read[name], told)
    for name in map(str, read.select_dtypes("float")):
        values = read[name].to_numpy() + 0.0  # -0.0 is 0.0
        values[np.isnan(values)] = np.nan  # of one sign
        read[name] = values
    return pa.array(pd.util.hash_pandas_object(read, index=False).to_numpy()).cast(pa.string())


def _places(column: pd.Series, told: Mapping[str, Any]) -> NDArray[np.int64]:
    """How many of the split points lie below each value; -1 where it is missing, or a category that the
    model does not know. A feature that splits nothing is in one place.
    """
    splits = np.asarray(told["splits"], dtype=np.float64)
    if not len(splits):
        return np.zeros(len(column), dtype=np.int64)
    if "categories" in told:
        positions = {value: float(place) for place, value in enumerate(told["categories"])}
        column = column.map(positions)
    values = column.to_numpy(dtype=np.float64)
    return np.where(np.isnan(values), -1, np.searchsorted(splits, values, side="left"))
