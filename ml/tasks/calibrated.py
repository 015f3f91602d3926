"""From rows to a calibrated classifier: choose columns, search the grid, calibrate, refit."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import get_scorer
from sklearn.model_selection import ParameterGrid

from ml.core.use_case import UseCase
from ml.tasks import estimators, evaluation, selection, splits
from ml.tasks.protocol import Fitted, Judged, Rows
from ml.tasks.splits import TooLittleDataError

GRID_ROWS = (
    200_000  # the grid is searched on no more, sampled by entity; the winner learns from all rows
)
ISOTONIC_ENTITIES = (
    500  # of each class: below it isotonic calibration overfits, and Platt's sigmoid is used
)


def fit(
    frame: pd.DataFrame,
    rows: NDArray[np.int64],
    data: Rows,
    kinds: Mapping[str, str],
    use_case: UseCase,
) -> Fitted:
    """The procedure on the rows at indices `rows`: select features, search the grid, calibrate,
    refit.

    `frame` holds every candidate column for all of `data`; `kinds` their kinds. The calibrator
    learns from predictions about held-out entities (folds that partition them), the estimator then
    from all rows. Raises TooLittleDataError.
    """
    part = frame.iloc[rows]
    labels, entities, apart = data.labels[rows], data.entities[rows], data.apart[rows]
    chosen = selection.select(part, labels, entities, kinds, use_case)
    if not chosen.features:
        raise TooLittleDataError("no feature is mandatory and none is related to the label")
    part = part[list(chosen.features)]
    parameters, folds = search(
        part, labels, data.cutoffs[rows], entities, apart, chosen.kinds, use_case, scorer(use_case)
    )
    counts = [len(np.unique(entities[labels == label])) for label in (0, 1)]
    method = "isotonic" if min(counts) >= ISOTONIC_ENTITIES else "sigmoid"
    pairs = partition(labels, apart, use_case.cv_folds)
    model = CalibratedClassifierCV(
        estimators.pipeline(use_case.estimator, chosen.kinds, parameters),
        method=method,
        cv=pairs,
        ensemble=False,
    )
    with estimators.one_thread():
        estimators.fit(model, part, labels)
    model.set_params(cv=len(pairs))  # the folds' row numbers would be stored with the model
    held = "entities" if apart.ndim == 1 else "nodes"
    calibration = f"{method}, on {len(pairs)} folds of held-out {held}"
    return Fitted(model, chosen, parameters, folds, calibration)


def one_feature(judged: Judged, frame: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Probabilities of the validation rows by a logistic regression on the one feature that says
    most about the label among the training rows; {what to call it: probabilities}. Empty where the
    test of selection measured none.
    """
    tests = judged.fitted.selection.tests
    if not tests:
        return {}
    best = max(sorted(tests), key=lambda name: tests[name].information)
    kind = "category" if frame[best].dtype == object else "number"
    model = estimators.pipeline("sklearn.linear_model.LogisticRegression", {best: kind}, {})
    with estimators.one_thread():
        learned = judged.split.train
        model.fit(frame.iloc[learned][[best]], judged.rows.labels[learned])
    return {f"logistic regression on {best} alone": probabilities(model, judged.frame[[best]])}


def scorer(use_case: UseCase) -> Any:
    """Of the deciding measure, greater is better."""
    return get_scorer(evaluation.SCORERS[use_case.promotion["metric"]])


def probabilities(model: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Calibrated probability of label 1 for each row of the raw features."""
    with estimators.one_thread():
        return np.asarray(model.predict_proba(frame)[:, 1], dtype=np.float64)


def search(
    frame: pd.DataFrame,
    labels: NDArray[np.int64],
    cutoffs: splits.Times,
    entities: splits.Hashes,
    apart: splits.Hashes,
    kinds: Mapping[str, str],
    use_case: UseCase,
    scorer: Any,
) -> tuple[dict[str, Any], str]:
    """The grid's best parameters by mean score over the inner folds (ties: the first), and how they
    were cut. `scorer`: as scikit-learn makes them, greater is better.
    """
    grid = list(ParameterGrid(dict(use_case.grid)))
    rows = sample(entities, GRID_ROWS)
    labels = labels[rows]
    horizon = np.timedelta64(use_case.horizon_days, "D").astype("timedelta64[us]")
    folds = splits.inner_folds(cutoffs[rows], labels, apart[rows], use_case.cv_folds, horizon)
    if len(grid) == 1:
        return dict(grid[0]), "none needed: the grid has one point"
    frame = frame.iloc[rows]

    def score(task: tuple[Mapping[str, Any], tuple[Any, Any]]) -> float:
        parameters, (learn, judge) = task
        # Several fits at once, each in one thread.
        with estimators.one_thread():
            model = estimators.pipeline(use_case.estimator, kinds, parameters)
            estimators.fit(model, frame.iloc[learn], labels[learn])
            return float(scorer(model, frame.iloc[judge], labels[judge]))

    tasks = [(parameters, pair) for parameters in grid for pair in folds.pairs]
    with ThreadPoolExecutor(max_workers=min(cpu_count(), len(tasks))) as workers:
        scores = np.array(list(workers.map(score, tasks))).reshape(len(grid), len(folds.pairs))
    best = int(np.argmax(scores.mean(axis=1)))
    return dict(grid[best]), folds.how


def partition(
    labels: NDArray[np.int64], apart: splits.Hashes, folds: int
) -> list[tuple[splits.Indices, splits.Indices]]:
    """Folds of entities or nodes for calibration; fewer where a training part would lack a class."""
    # nodes in three parts would leave a ninth of the pairs to learn from where a fold lies across two
    most = max(2, folds) if apart.ndim == 1 else max(4, folds)
    for number in range(most, 1, -1):
        pairs = splits.grouped_folds(apart, number)
        if all(len(held) and len(np.unique(labels[learn])) == 2 for learn, held in pairs):
            return pairs
    raise TooLittleDataError("too few entities of one class to calibrate on held-out ones")


def sample(entities: splits.Hashes, most: int) -> NDArray[np.int64]:
    """Row indices, at most `most`, of whole entities, the same in every build."""
    if len(entities) <= most:
        return np.arange(len(entities))
    order = splits.mixed(entities, salt=202)
    ranked = np.sort(order)
    bound = ranked[
        most
    ]  # rows of an entity share a value: strictly below it no entity is cut in two
    return np.flatnonzero(order < bound)
