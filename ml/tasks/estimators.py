"""From what a model reads to a calibrated estimator: the same road in training and in scoring."""

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from ml.core.errors import InsighteraError

SEED = 20131  # a constant: the same rows give the same model
ALLOWED = ("sklearn.ensemble.HistGradientBoosting", "sklearn.linear_model.")
# Bounds that keep training and SHAP quick; a use case's grid may name its own.
DEFAULTS = {"max_iter": 100, "early_stopping": False, "random_state": SEED}
LINEAR_DEFAULTS = {"max_iter": 1000, "random_state": SEED}


class EstimatorError(InsighteraError):
    """An estimator that there is not, or that refuses its parameters; `Task.naming_grid` says whose."""


def as_floats(columns: pd.DataFrame) -> NDArray[np.float64]:
    """Any numeric-like columns (nullable booleans, decimals, objects) as float64."""
    return columns.astype(np.float64).to_numpy()


def as_strings(columns: pd.DataFrame) -> NDArray[np.object_]:
    """Strings, with None for what is missing."""
    objects = columns.astype(object)
    return objects.where(objects.notna(), None).to_numpy()


class EmptyAsZero(BaseEstimator, TransformerMixin):  # type: ignore[misc]
    """Columns without any value when fitted are 0 ever after: trees of scikit-learn refuse to be
    fitted on a column of NaN alone, which a source that a university lacks gives rise to."""

    def fit(self, X: NDArray[np.float64], y: Any = None) -> "EmptyAsZero":  # noqa: ARG002, N803
        """Remember which columns hold nothing."""
        self.empty_ = np.isnan(X).all(axis=0)
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: N803
        """The same values, those columns 0."""
        return np.where(self.empty_, 0.0, X)


def estimator(path: str, *, regressor: bool = False, **parameters: Any) -> Any:
    """The scikit-learn classifier (or, where asked for, regressor) at the dotted path, with the
    project's bounds and constant seed.

    Raises EstimatorError for a path off the allow-list, a class without probabilities, or one
    that is no regressor where that is asked for.
    """
    module, _, name = path.rpartition(".")
    if not path.startswith(ALLOWED):
        raise EstimatorError(
            f"Estimator {path!r} is not allowed. Use one whose path starts with "
            f"{' or '.join(ALLOWED)}: "
            "for these answers, missing values and explanations are supported."
        )
    try:
        made = getattr(import_module(module), name)()
        known = made.get_params()
    except (ImportError, AttributeError, TypeError) as error:
        raise EstimatorError(f"No scikit-learn estimator {path!r}: {error}.") from error
    defaults = LINEAR_DEFAULTS if is_linear(path) else DEFAULTS
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise EstimatorError(f"{path} has no parameters {unknown}. It has {sorted(known)}.")
    made.set_params(**{key: value for key, value in defaults.items() if key in known} | parameters)
    if regressor and not is_regressor(made):
        raise EstimatorError(f"{path} forecasts no numbers. Choose a regressor.")
    if not regressor and not hasattr(made, "predict_proba"):
        raise EstimatorError(f"{path} gives no probabilities. Choose a classifier that does.")
    return made


def fit(model: Any, *learned: Any, **more: Any) -> Any:
    """`model.fit`. Raises EstimatorError for what only fitting tells, such as a parameter's value
    that makes no sense.
    """
    try:
        return model.fit(*learned, **more)
    except (TypeError, ValueError) as error:
        raise EstimatorError(f"it cannot be fitted: {error}") from error


def is_linear(path: str) -> bool:
    """Whether the dotted path is a linear model's, which needs imputing and scaling."""
    return path.startswith("sklearn.linear_model.")


def pipeline(
    path: str,
    kinds: Mapping[str, str],
    parameters: Mapping[str, Any],
    *,
    regressor: bool = False,
) -> Pipeline:
    """Columns prepared for the estimator at `path`, then the estimator.

    `kinds` maps each feature to `number` or `category`. Trees: numbers as they are (NaN is a value
    of its own), categories as ordinals with NaN for the unknown. Linear: medians for what is
    missing plus an indicator, one-hot categories, everything scaled to mean 0, so that a
    coefficient times a value is a contribution.
    """
    numbers = [name for name, what in kinds.items() if what == "number"]
    categories = [name for name, what in kinds.items() if what == "category"]
    floats, strings = FunctionTransformer(as_floats), FunctionTransformer(as_strings)
    if is_linear(path):
        steps = [
            (
                "numbers",
                make_pipeline(
                    floats,
                    SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
                    StandardScaler(),
                ),
                numbers,
            ),
            (
                "categories",
                make_pipeline(
                    strings,
                    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                    StandardScaler(),
                ),
                categories,
            ),
        ]
    else:
        ordinal = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
        )
        steps = [
            ("numbers", floats, numbers),
            ("categories", make_pipeline(strings, ordinal), categories),
        ]
    columns = ColumnTransformer([step for step in steps if step[2]], remainder="drop")
    filled = [] if is_linear(path) else [("filled", EmptyAsZero())]
    last = estimator(path, regressor=regressor, **parameters)
    return Pipeline([("columns", columns), *filled, ("estimator", last)])


def one_thread() -> Any:
    """A context in which the calling thread's fits and predictions use one core each.

    OpenMP's threads spin while they wait for each other: where other processes hold the cores, two
    were measured to be up to thirty times slower than one; alone, one is nearly as fast as two.
    """
    return _controller().limit(limits=1, user_api="openmp")


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def fitted(model: Any) -> Pipeline:
    """The pipeline inside a calibrated model (or the pipeline itself)."""
    inner = getattr(model, "calibrated_classifiers_", None)
    return inner[0].estimator if inner else model
