"""Why this answer: how much each feature moves an entity's log-odds, or a forecast."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.core.errors import InsighteraError
from ml.tasks import estimators
from ml.tasks.forecasting import Forecaster

# SHAP's trees run on one core at some two thousand rows a second and hold Python's lock; further
# processes pay ten seconds of imports each.
ROWS_PER_PROCESS = 50_000


def contributions(model: Any, rows: pd.DataFrame) -> NDArray[np.float64]:
    """SHAP values, (rows, features), in log-odds of the estimator before calibration.

    Calibration is monotone, so sign and order hold for the published probability. A row's values
    and a constant (the estimator's expected log-odds) add up to its log-odds. Columns are in the
    order of `rows`' columns, which must be the model's features.

    `model` is what training returned or the registry loaded (a Champion, its pipeline, or a bare
    Pipeline). Trees: path-dependent Tree SHAP (Lundberg et al., Nature Machine Intelligence 2,
    2020). Linear: coefficient times scaled value, which is SHAP with the training mean as
    background where features are taken as independent (Lundberg & Lee 2017, corollary 1); the
    columns of a one-hot category are summed.

    A Forecaster's are in units of the outcome; with a constant they add up to its forecast before
    clipping.

    Raises InsighteraError for an estimator that is neither.
    """
    held = getattr(model, "pipeline", model)
    if isinstance(held, Forecaster):
        return held.attributed(rows, _shares(held.pipeline_, rows))
    return _shares(estimators.fitted(held), rows)


def _shares(inner: Any, rows: pd.DataFrame) -> NDArray[np.float64]:
    """SHAP values in what the last step of the pipeline adds up."""
    columns, estimator = inner["columns"], inner["estimator"]
    if not len(rows):
        return np.zeros((0, rows.shape[1]))
    values = np.asarray(inner[:-1].transform(rows), dtype=np.float64)
    if hasattr(estimator, "_predictors"):
        shares = _trees(estimator, values)
    elif hasattr(estimator, "coef_"):
        shares = values * np.atleast_2d(estimator.coef_)[0]
    else:
        raise InsighteraError(
            f"{type(estimator).__name__} cannot be explained. Use one of {estimators.ALLOWED}."
        )
    owners = _owners(columns, list(rows.columns))
    found = np.zeros((len(rows), rows.shape[1]))
    np.add.at(found.T, owners, shares.T)
    return found


def _trees(estimator: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    from joblib import Parallel, cpu_count, delayed

    parts = min(cpu_count(), 1 + len(values) // ROWS_PER_PROCESS)
    if parts == 1:
        return _tree_shap(estimator, values)
    found = Parallel(n_jobs=parts)(
        delayed(_tree_shap)(estimator, part) for part in np.array_split(values, parts)
    )
    return np.concatenate(found)


def _tree_shap(estimator: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    import shap  # ten seconds: only where something is explained

    explainer = shap.TreeExplainer(estimator)
    return np.asarray(explainer.shap_values(values, check_additivity=False), dtype=np.float64)


def _owners(columns: Any, features: list[str]) -> NDArray[np.int64]:
    """For each column the estimator sees, the position of the feature it was made from."""
    owners: list[str] = []
    for _, transformer, names in columns.transformers_:
        if transformer == "drop":
            continue
        owners.extend(_made_from(transformer, list(names)))
    return np.array([features.index(name) for name in owners], dtype=np.int64)


def _made_from(transformer: Any, names: list[str]) -> list[str]:
    steps = dict(getattr(transformer, "named_steps", {}))
    if "simpleimputer" in steps:
        indicator = steps["simpleimputer"].indicator_
        return names + [names[position] for position in indicator.features_]
    if "onehotencoder" in steps:
        held = steps["onehotencoder"].categories_
        return [name for name, values in zip(names, held, strict=True) for _ in values]
    return names
