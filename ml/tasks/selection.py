"""Which columns a model may learn from: policy first, then what an office demands, then a
statistical test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import chi2, false_discovery_control
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from ml.core.errors import InsighteraError
from ml.core.macros import rendered
from ml.core.use_case import UseCase
from ml.features import Reading, model_input
from ml.tasks import estimators

BINS = 5  # quantiles of a numeric column in the test; NULL is a bin of its own
# One in five of the chosen may say nothing: trees bear that better than the loss of what says something.
FALSE_DISCOVERY_RATE = 0.2
MOST_CATEGORIES = 100  # a string with more values names things rather than describing them
PROXY_ENTITIES = (
    5000  # bound on the sample that measures how features give protected attributes away
)
PROXY_CLASSES = 6  # values of a protected attribute told apart; rarer ones are one class
PROXY_SMALLEST = 10  # entities a value needs to be told apart


@dataclass(frozen=True)
class Candidates:
    """Columns that may be features, with their kind, and why each other column may not."""

    kinds: Mapping[str, str]  # column -> number | category
    refused: Mapping[str, str]  # column -> reason
    bare: Mapping[str, str]  # column of a feature table in the join -> its name in that table


@dataclass(frozen=True)
class Test:
    """One column against the label. Information in nats; `p` after Benjamini and Hochberg's
    correction.
    """

    information: float
    p: float


@dataclass(frozen=True)
class Selection:
    """The chosen columns, in the order the model sees them, and what was found about the others."""

    features: tuple[str, ...]
    kinds: Mapping[str, str]  # of the chosen
    tests: Mapping[str, Test]
    notes: tuple[str, ...]  # e.g. mandatory features without values


def candidates(
    schema: pa.Schema, spine: Sequence[str], read: Sequence[Reading], use_case: UseCase
) -> Candidates:
    """Sort the joined table's columns. `spine`: columns of it that are none; `read`: how the join read
    its feature tables.

    Raises InsighteraError where a mandatory feature is protected, excluded, absent or of no usable
    type.
    """
    audit = rendered("duckdb", "feature_table/feature_audit_columns").feature_audit_columns()
    beside = {*audit, "recorded_at", "loaded_at", *use_case.entity_keys}
    bare = {output: name for reading in read for name, output in reading.columns.items()}
    kinds: dict[str, str] = {}
    refused: dict[str, str] = {}
    for column in schema:
        name = bare.get(column.name, column.name)
        what = model_input.kind(column.type)
        if column.name in spine or name in beside:
            continue
        if name in use_case.protected:
            refused[column.name] = "protected attribute"
        elif name in use_case.excluded or column.name in use_case.excluded:
            refused[column.name] = "excluded by the use case"
        elif what is None and not pa.types.is_null(column.type):
            refused[column.name] = f"type {column.type} is neither number nor category"
        else:
            kinds[column.name] = what or "number"
    wrong = {
        name: refused.get(name, "in none of the feature tables")
        for name in use_case.mandatory
        if name not in kinds
    }
    if wrong:
        raise InsighteraError(
            f"label_{use_case.name}: mandatory features cannot be used: "
            + "; ".join(f"{name} ({reason})" for name, reason in wrong.items())
            + f". Candidates are {', '.join(sorted(kinds)) or 'none'}. Correct `mandatory` in its "
            "YAML, or pass the table that holds them in python_models/training."
        )
    if len(use_case.mandatory) > use_case.max_features:
        raise InsighteraError(
            f"label_{use_case.name}: {len(use_case.mandatory)} mandatory features exceed "
            "max_features "
            f"{use_case.max_features}. Raise the one or shorten the other."
        )
    return Candidates(kinds, refused, bare)


def select(
    frame: pd.DataFrame,
    labels: NDArray[np.int64],
    entities: NDArray[np.uint64],
    kinds: Mapping[str, str],
    use_case: UseCase,
) -> Selection:
    """Mandatory columns, then those that say most about the label, at most `max_features` in all.

    The test is a G-test on the column cut into quantile bins (categories as they are, NULL a bin of
    its own): 2 n I is chi-squared distributed under independence (Sokal & Rohlf, Biometry, ch. 17),
    I the mutual information. Weekly rows of one entity repeat each other, so n counts entities, not
    rows. Of the columns that pass at a false discovery rate of 20 % the most informative are taken;
    ties go by name. Constant columns, empty ones and strings with more values than describe
    anything are never taken.

    `frame`, `labels` and `entities` hold training rows only, aligned.
    """
    sample = len(np.unique(entities))
    notes: list[str] = []
    information: dict[str, float] = {}
    chance: dict[str, float] = {}
    for name, what in kinds.items():
        codes = _bins(frame[name], what)
        values = int(codes.max()) + 1 if len(codes) else 0
        if what == "category" and values > min(MOST_CATEGORIES, max(2, sample // 5)):
            if name in use_case.mandatory:
                notes.append(f"mandatory feature {name} has {values} values for {sample} entities")
            continue
        if values < 2:
            if name in use_case.mandatory:
                empty = bool(frame[name].isna().all())
                notes.append(
                    f"mandatory feature {name} is {'NULL in every row' if empty else 'constant'}"
                )
            continue
        information[name] = float(mutual_info_score(labels, codes))
        chance[name] = float(chi2.sf(2 * sample * information[name], values - 1))
    names = sorted(information)
    corrected = false_discovery_control([chance[name] for name in names]) if names else []
    tests = {
        name: Test(information[name], float(p)) for name, p in zip(names, corrected, strict=True)
    }
    optional = [
        name
        for name in names
        if name not in use_case.mandatory and tests[name].p <= FALSE_DISCOVERY_RATE
    ]
    optional.sort(key=lambda name: (-tests[name].information, name))
    chosen = (*use_case.mandatory, *optional[: use_case.max_features - len(use_case.mandatory)])
    return Selection(chosen, {name: kinds[name] for name in chosen}, tests, tuple(notes))


def without_label(frame: pd.DataFrame, kinds: Mapping[str, str], use_case: UseCase) -> Selection:
    """Mandatory columns, then the others that vary, by name, at most `max_features` in all: nothing
    says what they are worth.
    """
    varying = [
        name
        for name, what in kinds.items()
        if name not in use_case.mandatory
        and frame[name].nunique(dropna=False) > 1
        and (what == "number" or frame[name].nunique() <= MOST_CATEGORIES)
    ]
    room = use_case.max_features - len(use_case.mandatory)
    chosen = (*use_case.mandatory, *sorted(varying)[:room])
    notes = tuple(
        f"mandatory feature {name} is constant"
        for name in use_case.mandatory
        if frame[name].nunique(dropna=False) < 2
    )
    return Selection(chosen, {name: kinds[name] for name in chosen}, {}, notes)


def proxies(
    frame: pd.DataFrame,
    kinds: Mapping[str, str],
    protected: Mapping[str, NDArray[np.object_]],
    entities: NDArray[np.uint64],
) -> dict[str, float | None]:
    """How well the chosen features give each protected attribute away: cross-validated ROC AUC, 0.5
    is not at all.

    One row per entity (its last), so that no entity is on both sides of a fold; at most 5,000
    entities. An attribute with several values gets the mean of its one-against-rest areas, each
    value weighing the same. None where fewer than two values have ten entities. `frame` holds
    `kinds`' columns, aligned with `protected`.
    """
    _, last = np.unique(entities[::-1], return_index=True)
    rows = np.sort((len(entities) - 1 - last)[:PROXY_ENTITIES])
    with estimators.one_thread():
        return {
            name: _proxy(frame.iloc[rows], kinds, values[rows])
            for name, values in sorted(protected.items())
        }


def _proxy(
    frame: pd.DataFrame, kinds: Mapping[str, str], values: NDArray[np.object_]
) -> float | None:
    series = pd.Series(values, dtype=object)
    counts = series.value_counts()
    frequent = sorted(counts[counts >= PROXY_SMALLEST].index[:PROXY_CLASSES], key=str)
    known = series.notna()
    classes = series.where(series.isin(frequent), "other")[known].astype(str)
    classes = classes[classes.map(classes.value_counts()) >= PROXY_SMALLEST]
    if classes.nunique() < 2:
        return None
    model = estimators.pipeline(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        kinds,
        {"max_iter": 40, "max_leaf_nodes": 7},
    )
    cut = StratifiedKFold(3, shuffle=True, random_state=estimators.SEED)
    codes, _ = pd.factorize(classes, sort=True)
    probabilities = cross_val_predict(
        model, frame.iloc[classes.index], codes, cv=cut, method="predict_proba"
    )
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(codes, probabilities[:, 1]))
    return float(roc_auc_score(codes, probabilities, multi_class="ovr", average="macro"))


def _bins(column: pd.Series, what: str) -> NDArray[np.int64]:
    """Bin number of each row, from 0, without gaps; NULL is a bin."""
    if what == "category":
        return pd.factorize(column, use_na_sentinel=False)[0]
    values = column.to_numpy(dtype=np.float64)
    present = ~np.isnan(values)
    if not present.any():
        return np.zeros(len(values), dtype=np.int64)
    edges = np.unique(np.quantile(values[present], np.arange(1, BINS) / BINS))
    # A column that mostly holds its greatest value (a rate of 1, a true) has its edge there: split
    # below it.
    edges[edges == values[present].max()] = np.nextafter(values[present].max(), -np.inf)
    codes = np.where(present, np.searchsorted(edges, values, side="left"), -1)
    return np.unique(codes, return_inverse=True)[1]
