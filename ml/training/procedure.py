"""Train a use case's model as one step of a build: join, select, search, calibrate, judge,
register.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from joblib import cpu_count
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import permutation_importance
from sklearn.metrics import get_scorer
from sklearn.model_selection import ParameterGrid

from ml import engine, lake, registry
from ml import features as joins
from ml.core.errors import InsighteraError
from ml.core.frames import to_arrow
from ml.core.use_case import Build, UseCase
from ml.engine import Engine, Frame
from ml.features import model_input
from ml.tasks import estimators, evaluation, selection, splits
from ml.tasks.selection import Candidates, Selection
from ml.tasks.splits import Split, TooLittleDataError
from ml.training import card
from ml.training.policy import CAUTION, decision

GRID_ROWS = (
    200_000  # the grid is searched on no more, sampled by entity; the winner learns from all rows
)
ISOTONIC_ENTITIES = (
    500  # of each class: below it isotonic calibration overfits, and Platt's sigmoid is used
)
IMPORTANCE_ROWS, IMPORTANCE_REPEATS = 2_000, 3
# The code that a version depends on: where it changes, a build that is run again trains again.
LEARNED_BY = (
    *("training/procedure.py", "features/model_input.py", "tasks/selection.py", "tasks/splits.py"),
    *("tasks/estimators.py", "tasks/evaluation.py"),
)


@dataclass(frozen=True)
class Rows:
    """The matured rows, ordered by entity keys and cutoff; all aligned."""

    keys: pa.Table
    cutoffs: splits.Times
    labels: NDArray[np.int64]
    entities: splits.Hashes  # of the keys
    sampled: bool
    spine: Frame  # keys and cutoff where the feature tables are

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Fitted:
    """What the procedure (selection, grid, calibration) made of some rows."""

    model: CalibratedClassifierCV
    selection: Selection
    parameters: Mapping[str, Any]
    folds: str
    calibration: str


def train(
    build: Build,
    use_case: UseCase,
    spine: Any,
    features: Mapping[str, Any],
    connection: Any,
    before: Sequence[registry.Version],
) -> pa.Table:
    """Train and register a version, and say in one row (`retraining.DECISION`) what was decided.

    `ml.training.policy.train` calls it where the use case's policy asks for training. `spine`: relation
    with the entity keys, `cutoff` (naive UTC) and `label` (1, 0, NULL for rows that are only for
    scoring). `features`: feature tables by name. All on `connection`, DuckDB's or Spark's session:
    there the rows are chosen and joined by the executors, and those chosen (`max_rows` at most)
    are learned from here. `before`: the versions that there are.

    Too little matured data is a decision, not an error. Raises InsighteraError where the use case's
    YAML contradicts itself or the data, or a label was given before its horizon had passed.
    """
    _check(use_case)
    try:
        with engine.opened(connection) as on:
            rows = matured(on, spine, use_case, build.as_of)
            if not len(rows):
                raise TooLittleDataError(
                    f"no label has matured: that takes a cutoff {use_case.horizon_days} days before "
                    f"{build.as_of:%Y-%m-%d}"
                )
            split = splits.outer_split(rows.cutoffs, rows.labels, rows.entities, _horizon(use_case))
            return _train(build, use_case, rows, split, features, connection, before)
    except TooLittleDataError as reason:
        return decision(build, use_case, f"not trained: {reason}")


def training_set(
    rows: Rows,
    features: Mapping[str, Any],
    use_case: UseCase,
    connection: Any,
) -> tuple[pa.Table, Candidates]:
    """What was believed of each (entity, cutoff) at its cutoff, in the order of `rows`, and what
    may be learned from.

    Nothing that a lake came to know after a row's cutoff is in the row.
    """
    together = joins.point_in_time_join(
        rows.spine,
        features,
        entity_keys=list(use_case.entity_keys),
        timestamp="cutoff",
        known_at="cutoff",
        connection=connection,
    )
    joined = to_arrow(together, "the training set")
    if not joined.select(rows.keys.column_names).equals(rows.keys):
        raise InsighteraError(
            f"label_{use_case.name} changed while its rows were joined with their features. "
            "Run `dbt build` again."
        )
    found = selection.candidates(joined.schema, rows.keys.column_names, list(features), use_case)
    if not found.kinds:
        raise InsighteraError(
            f"label_{use_case.name}: the feature tables {sorted(features)} hold no column that "
            "may be a feature."
        )
    return joined, found


def matured(on: Engine, spine: Frame, use_case: UseCase, as_of: datetime) -> Rows:
    """Rows of the spine that have a label, at most `max_rows`: beyond it, whole entities are left
    out, the same ones in every build (those of the greatest hash).

    Raises InsighteraError for a missing column, a label that is neither 0 nor 1, or one whose
    horizon had not passed at `as_of`.
    """
    keys = list(use_case.entity_keys)
    found = on.columns(spine)
    missing = sorted({*keys, "cutoff", "label"} - set(found))
    if missing:
        raise InsighteraError(f"label_{use_case.name} lacks the columns {missing}; it has {found}.")
    given = " and ".join(
        f"{column} is not null" for column in ("label", "cutoff", *map(on.quoted, keys))
    )
    # md5 is the same everywhere, so the sample is; the sides of a split use other bits of it.
    labelled = on.kept(
        f"""
        select
            {on.quoted(*keys)},
            cast(cutoff as timestamp) as cutoff,
            try_cast(label as bigint) as label,
            coalesce(try_cast(label as double) in (0, 1), false) as is_label,
            {on.key_hash(keys)} as entity_hash
        from spine
        where {given}
        """,  # noqa: S608
        spine=spine,
    )
    refused = on.count(labelled, "not is_label")
    if refused:
        raise InsighteraError(
            f"models/labels/label_{use_case.name}.sql: `label` must be 0, 1 or NULL; {refused:,} rows "
            "hold something else."
        )
    sampled = on.count(labelled) > use_case.max_rows
    last = "select max(entity_hash) as entity_hash from labelled"
    if sampled:
        last = f"""
            select coalesce(max(entity_hash), 0) as entity_hash
            from (
                select entity_hash, sum(number) over (order by entity_hash) as running
                from (
                    select entity_hash, count(*) as number from labelled group by entity_hash
                ) as entities
            ) as summed
            where running <= {int(use_case.max_rows)}
        """  # noqa: S608
    chosen = on.kept(
        f"""
        select labelled.*
        from labelled
        inner join ({last}) as last on labelled.entity_hash <= last.entity_hash
        order by {on.quoted(*keys)}, cutoff
        """,  # noqa: S608
        labelled=labelled,
    )
    table = on.arrow(chosen)
    cutoffs = table["cutoff"].to_numpy().astype("datetime64[us]")
    labels = table["label"].to_numpy()
    early = cutoffs + _horizon(use_case) > np.datetime64(as_of, "us")
    if early.any():
        raise InsighteraError(
            f"label_{use_case.name}: {int(early.sum())} rows carry a label although their horizon "
            "of "
            f"{use_case.horizon_days} days ends after as_of {as_of:%Y-%m-%d %H:%M} (first cutoff "
            f"{cutoffs[early].min()}). Leave the label NULL until the horizon has passed."
        )
    hashes = table["entity_hash"].cast(pa.uint64()).to_numpy()
    held = [*keys, "cutoff"]
    joinable = on.sql(f"select {on.quoted(*held)} from chosen", chosen=chosen)  # noqa: S608
    return Rows(table.select(held), cutoffs, labels, hashes, sampled, joinable)


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
    labels, entities, cutoffs = data.labels[rows], data.entities[rows], data.cutoffs[rows]
    chosen = selection.select(part, labels, entities, kinds, use_case)
    if not chosen.features:
        raise TooLittleDataError("no feature is mandatory and none is related to the label")
    part = part[list(chosen.features)]
    parameters, folds = _search(part, labels, cutoffs, entities, chosen.kinds, use_case)
    counts = [len(np.unique(entities[labels == label])) for label in (0, 1)]
    method = "isotonic" if min(counts) >= ISOTONIC_ENTITIES else "sigmoid"
    pairs = _partition(labels, entities, use_case.cv_folds)
    model = CalibratedClassifierCV(
        estimators.pipeline(use_case.estimator, chosen.kinds, parameters),
        method=method,
        cv=pairs,
        ensemble=False,
    )
    with estimators.one_thread():
        model.fit(part, labels)
    model.set_params(cv=len(pairs))  # the folds' row numbers would be stored with the model
    return Fitted(
        model, chosen, parameters, folds, f"{method}, on {len(pairs)} folds of held-out entities"
    )


def probabilities(model: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Calibrated probability of label 1 for each row of the raw features."""
    with estimators.one_thread():
        return np.asarray(model.predict_proba(frame)[:, 1], dtype=np.float64)


def _train(
    build: Build,
    use_case: UseCase,
    rows: Rows,
    split: Split,
    features: Mapping[str, Any],
    connection: Any,
    before: Sequence[registry.Version],
) -> pa.Table:
    joined, found = training_set(rows, features, use_case, connection)
    frame = model_input.frame(joined, list(found.kinds))
    key = _training_key(build, use_case, rows, frame)
    same = next((entry for entry in before if entry.tags.get("training_key") == key), None)
    if same is not None:
        return decision(
            build, use_case, f"already trained as version {same.version}: {same.tags['decision']}"
        )
    validated = fit(frame, split.train, rows, found.kinds, use_case)
    final = fit(frame, np.arange(len(rows)), rows, found.kinds, use_case)

    judged = frame.iloc[split.validation]
    truth = rows.labels[split.validation]
    answers = probabilities(validated.model, judged[list(validated.selection.features)])
    metrics = evaluation.measure(truth, answers)
    metric = use_case.promotion["metric"]
    rival = _rival(use_case, rows, split, joined)
    score = metrics[metric]
    if rival is not None:
        score = evaluation.measure(truth[rival.seen], answers[rival.seen])[metric]
    importances = _importances(validated, judged, truth, metric)
    thresholds = evaluation.by_threshold(truth, answers, use_case.thresholds)
    bands = evaluation.by_band(truth, answers, rows.entities[split.validation], use_case.thresholds)
    cautions = evaluation.band_warnings(bands)
    kinds = final.selection.kinds
    snapshot = lake.replace(
        f"training_{use_case.name}",
        _kept_rows(rows, split, frame),
        lake.lineage(build, None),
    )
    tags = {
        "git_commit": lake.git_commit(),
        "dbt_invocation_id": build.run_id,
        "training_snapshot_id": str(snapshot),
        "training_table": f"{lake.NAMESPACE}.training_{use_case.name}",
        "training_key": key,
        **{f"version_{package}": number for package, number in registry.environment().items()},
    }
    with TemporaryDirectory() as folder:
        example = frame.iloc[[len(frame) - 1]][list(final.selection.features)]
        with estimators.one_thread():
            draft = registry.draft(Path(folder) / "model", final.model, example)
        ruling = registry.verdict(
            use_case.promotion, score, rival.metrics[metric] if rival else None, draft.milliseconds
        )
        alias = registry.CHAMPION if ruling.promote else registry.CHALLENGER
        text = card.write(
            card.Facts(
                use_case=use_case,
                as_of=build.as_of,
                lineage=tags | {"model_sha256": draft.digest, "as_of": build.as_of.isoformat()},
                rows=len(rows),
                entities=len(np.unique(rows.entities)),
                positives=int(rows.labels.sum()),
                first_cutoff=rows.cutoffs.min().astype(datetime),
                last_cutoff=rows.cutoffs.max().astype(datetime),
                sampled=rows.sampled,
                split=_split_words(rows, split),
                folds=(validated.folds, final.folds),
                calibration=(validated.calibration, final.calibration),
                parameters=(validated.parameters, final.parameters),
                metrics=metrics,
                champion_metrics=rival.metrics if rival else None,
                champion_version=rival.words if rival else None,
                thresholds=thresholds,
                bands=bands,
                selection=final.selection,
                refused=found.refused,
                importances=importances,
                proxies=_proxies(frame, kinds, joined, found, rows, list(features), use_case),
                milliseconds=draft.milliseconds,
                verdict=f"{alias}: {ruling.reason}",
            )
        )
        files = Path(folder) / "artifacts"
        files.mkdir()
        (files / "model_card.md").write_text(text, encoding="utf-8")
        for name, picture in evaluation.pictures(truth, answers, importances, metric).items():
            (files / name).write_bytes(picture)
        tables = {
            "metrics": metrics,
            "thresholds": thresholds,
            "bands": [asdict(band) for band in bands],
            "importances": importances,
            "champion_metrics": rival.metrics if rival else None,
        }
        (files / "metrics.json").write_text(json.dumps(tables, indent=2), encoding="utf-8")
        version = registry.register(
            use_case.name,
            draft,
            verdict=ruling,
            as_of=build.as_of,
            features=final.selection.features,
            categorical=[name for name, what in kinds.items() if what == "category"],
            metrics=metrics,
            parameters={"estimator": use_case.estimator, **final.parameters},
            artifacts=files,
            tags=tags | ({CAUTION: "; ".join(cautions)} if cautions else {}),
        )
    outcome = "promoted" if ruling.promote else "challenger"
    return decision(
        build,
        use_case,
        f"{outcome}: {ruling.reason}",
        trained_version=version,
        score=score,
        champion_score=rival.metrics[metric] if rival else None,
        **metrics,
        milliseconds=draft.milliseconds,
        rows=len(rows),
        entities=len(np.unique(rows.entities)),
        positives=int(rows.labels.sum()),
        features=len(final.selection.features),
        training_snapshot_id=snapshot,
    )


@dataclass(frozen=True)
class _Rival:
    """The champion on validation rows; `seen` are the positions among them that both models are
    compared on.
    """

    metrics: Mapping[str, float]
    seen: NDArray[np.int64]
    words: str


def _rival(use_case: UseCase, rows: Rows, split: Split, joined: pa.Table) -> _Rival | None:
    """The champion's measures on the validation rows whose labels it cannot have learned from (they
    matured after it was trained), or on all of them where those are too few: that favours the
    champion.

    None where there is no champion, or the feature tables no longer hold what it reads.
    """
    champion = registry.champion(use_case.name)
    if champion is None or not set(champion.features) <= set(joined.column_names):
        return None
    matured_at = rows.cutoffs[split.validation] + _horizon(use_case)
    new = np.flatnonzero(matured_at > np.datetime64(champion.as_of, "us"))
    truth, entities = rows.labels[split.validation], rows.entities[split.validation]
    enough = all(
        len(np.unique(entities[new][truth[new] == label])) >= splits.MINIMUM_ENTITIES
        for label in (0, 1)
    )
    seen = new if enough else np.arange(len(truth))
    which = (
        "rows it cannot have learned from" if enough else "all rows, some of which it learned from"
    )
    frame = model_input.frame(joined.take(split.validation[seen]), champion.features)
    answers = probabilities(champion.pipeline, frame)
    return _Rival(
        evaluation.measure(truth[seen], answers),
        seen,
        f"{champion.version}, on {len(seen):,} {which}",
    )


def _search(
    frame: pd.DataFrame,
    labels: NDArray[np.int64],
    cutoffs: splits.Times,
    entities: splits.Hashes,
    kinds: Mapping[str, str],
    use_case: UseCase,
) -> tuple[dict[str, Any], str]:
    """The grid's best parameters by mean score over the inner folds (ties: the first), and how they
    were cut.
    """
    grid = list(ParameterGrid(dict(use_case.grid)))
    rows = _sample(entities, GRID_ROWS)
    labels = labels[rows]
    folds = splits.inner_folds(
        cutoffs[rows], labels, entities[rows], use_case.cv_folds, _horizon(use_case)
    )
    if len(grid) == 1:
        return dict(grid[0]), "none needed: the grid has one point"
    frame = frame.iloc[rows]
    scorer = get_scorer(evaluation.MEASURES[use_case.promotion["metric"]][0])

    def score(task: tuple[Mapping[str, Any], tuple[Any, Any]]) -> float:
        parameters, (learn, judge) = task
        # Several fits at once, each in one thread.
        with estimators.one_thread():
            model = estimators.pipeline(use_case.estimator, kinds, parameters)
            model.fit(frame.iloc[learn], labels[learn])
            return float(scorer(model, frame.iloc[judge], labels[judge]))

    tasks = [(parameters, pair) for parameters in grid for pair in folds.pairs]
    with ThreadPoolExecutor(max_workers=min(cpu_count(), len(tasks))) as workers:
        scores = np.array(list(workers.map(score, tasks))).reshape(len(grid), len(folds.pairs))
    best = int(np.argmax(scores.mean(axis=1)))
    return dict(grid[best]), folds.how


def _partition(
    labels: NDArray[np.int64], entities: splits.Hashes, folds: int
) -> list[tuple[splits.Indices, splits.Indices]]:
    """Folds of entities for calibration; fewer where a training part would lack a class."""
    for number in range(max(2, folds), 1, -1):
        pairs = splits.grouped_folds(entities, number)
        if all(len(held) and len(np.unique(labels[learn])) == 2 for learn, held in pairs):
            return pairs
    raise TooLittleDataError("too few entities of one class to calibrate on held-out ones")


def _sample(entities: splits.Hashes, most: int) -> NDArray[np.int64]:
    """Row indices, at most `most`, of whole entities, the same in every build."""
    if len(entities) <= most:
        return np.arange(len(entities))
    order = splits.mixed(entities, salt=202)
    ranked = np.sort(order)
    bound = ranked[
        most
    ]  # rows of an entity share a value: strictly below it no entity is cut in two
    return np.flatnonzero(order < bound)


def _importances(
    validated: Fitted, frame: pd.DataFrame, labels: NDArray[np.int64], metric: str
) -> dict[str, float]:
    """Drop of the metric when a feature is shuffled among validation rows (Breiman 2001), greatest
    first.
    """
    columns = list(validated.selection.features)
    chosen = np.random.default_rng(estimators.SEED).permutation(len(labels))[:IMPORTANCE_ROWS]
    if len(np.unique(labels[chosen])) < 2:
        chosen = np.arange(len(labels))
    with estimators.one_thread():
        found = permutation_importance(
            validated.model,
            frame.iloc[chosen][columns],
            labels[chosen],
            scoring=evaluation.MEASURES[metric][0],
            n_repeats=IMPORTANCE_REPEATS,
            random_state=estimators.SEED,
        )
    means = dict(zip(columns, found.importances_mean.tolist(), strict=True))
    return dict(sorted(means.items(), key=lambda item: (-item[1], item[0])))


def _proxies(
    frame: pd.DataFrame,
    kinds: Mapping[str, str],
    joined: pa.Table,
    found: Candidates,
    rows: Rows,
    tables: Sequence[str],
    use_case: UseCase,
) -> dict[str, float | None]:
    protected = {
        name: np.asarray(joined[name].cast(pa.string()).to_pylist(), dtype=object)
        for name in found.refused
        if selection.bare(name, tables) in use_case.protected
    }
    return selection.proxies(frame[list(kinds)], kinds, protected, rows.entities)


def _check(use_case: UseCase) -> None:
    """What only scikit-learn can tell of a use case: the metric, the estimator and its grid."""
    if use_case.promotion["metric"] not in evaluation.MEASURES:
        raise InsighteraError(
            f"label_{use_case.name}: meta.use_case.promotion.metric is "
            f"{use_case.promotion['metric']!r}; use one of {', '.join(evaluation.MEASURES)}."
        )
    for parameters in ParameterGrid(dict(use_case.grid)):
        estimators.estimator(use_case.estimator, **parameters)


def _training_key(build: Build, use_case: UseCase, rows: Rows, frame: pd.DataFrame) -> str:
    """The same for a build that was run again: instant, use case, code, and every value learned
    from.
    """
    digest = hashlib.sha256()
    facts = [build.as_of, build.use_cases[use_case.name], build.protected, list(frame.columns)]
    digest.update(
        json.dumps([*facts, registry.environment()], default=str, sort_keys=True).encode()
    )
    here = Path(__file__).parents[1]
    for name in LEARNED_BY:
        digest.update((here / name).read_bytes())
    for values in (rows.entities, rows.cutoffs, rows.labels):
        digest.update(np.ascontiguousarray(values).tobytes())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _kept_rows(rows: Rows, split: Split, frame: pd.DataFrame) -> pa.Table:
    """The training set as Iceberg keeps it: keys, cutoff, label, side, every candidate column.

    Protected attributes are not in it.
    """
    side = np.full(len(rows), "unused", dtype=object)
    side[split.train] = "training"
    side[split.validation] = "validation"
    table = rows.keys.append_column("label", pa.array(rows.labels))
    table = table.append_column("side", pa.array(side, pa.string()))
    for name in frame.columns:
        text = frame[name].dtype == object
        column = pa.array(frame[name], pa.string() if text else pa.float64(), from_pandas=True)
        table = table.append_column(name, column)
    return table


def _split_words(rows: Rows, split: Split) -> str:
    parts = [
        f"{what} {len(side):,} rows of {len(np.unique(rows.entities[side])):,} entities, "
        f"{int(rows.labels[side].sum()):,} positive"
        for what, side in (("training", split.train), ("validation", split.validation))
    ]
    return (
        f"validation starts {split.start.astype('datetime64[D]')}, training ends "
        f"{split.gap // np.timedelta64(1, 'D')} days before it, and "
        f"{splits.VALIDATION_PERCENT} % of the entities "
        f"(by hash) are on the validation side only: {'; '.join(parts)}"
    )


def _horizon(use_case: UseCase) -> np.timedelta64:
    return np.timedelta64(timedelta(days=int(use_case.horizon_days)), "us")
