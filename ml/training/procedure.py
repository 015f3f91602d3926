"""One training: join, fit on two sides, judge against champion and baselines, register.

What differs between kinds of question is the task's (`ml.tasks`); what was learned from is
`ml.training.rows`'s; whether to train at all is `ml.training.policy`'s.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml import engine, lake, registry, tasks
from ml.core.use_case import Build, UseCase
from ml.features import model_input
from ml.lake import anomaly_reviews
from ml.tasks import estimators, selection
from ml.tasks.pictures import bars
from ml.tasks.protocol import Fitted, Judged, Known, Rows, Task
from ml.tasks.selection import Candidates
from ml.tasks.splits import Split, TooLittleDataError
from ml.training import card
from ml.training.policy import BASELINE, CAUTION, decision
from ml.training.rows import matured, training_set

# The code that a version depends on, beside the task's own: where it changes, a build that is run
# again trains again.
LEARNED_BY = (
    *("training/procedure.py", "training/rows.py", "features/model_input.py"),
    *("tasks/protocol.py", "tasks/selection.py", "tasks/splits.py", "tasks/estimators.py"),
)


@dataclass(frozen=True)
class Step:
    """What one training goes by."""

    build: Build
    task: Task
    features: Mapping[str, Any]
    on: engine.Engine
    connection: Any
    before: Sequence[registry.Version]

    @property
    def use_case(self) -> UseCase:
        """The use case that is trained."""
        return self.task.use_case


def train(
    build: Build,
    use_case: UseCase,
    spine: Any,
    features: Mapping[str, Any],
    connection: Any,
    before: Sequence[registry.Version],
) -> pa.Table:
    """Train and register a version, and say in one row (`policy.DECISION`) what was decided.

    `ml.training.policy.train` calls it where the use case's policy asks for training. `spine`:
    relation with the entity keys, `cutoff` (naive UTC), and the columns that the task asks for.
    `features`: feature tables by name. All on `connection`, DuckDB's or Spark's session: there the
    rows are chosen and joined by the executors, and those chosen (`max_rows` at most) are learned
    from here. `before`: the versions that there are.

    Too little matured data is a decision, not an error. Raises InsighteraError where the use case's
    YAML contradicts itself or the data, or a label was given before it could be known.
    """
    task = tasks.of(use_case)
    task.check_estimator()
    try:
        with engine.opened(connection) as on:
            rows = matured(on, spine, task, build.as_of)
            if not len(rows):
                raise TooLittleDataError(_nothing_matured(task, build.as_of))
            split = task.split(rows)
            with task.naming_grid():
                return _trained(Step(build, task, features, on, connection, before), rows, split)
    except TooLittleDataError as reason:
        return decision(build, use_case.name, f"not trained: {reason}")


def _nothing_matured(task: Task, as_of: datetime) -> str:
    if not task.label:
        return f"no row lies before {as_of:%Y-%m-%d}"
    if task.matures:
        return f"no label has matured: no `{task.matures}` lies before {as_of:%Y-%m-%d}"
    return (
        f"no label has matured: that takes a cutoff {task.use_case.horizon_days} days before "
        f"{as_of:%Y-%m-%d}"
    )


def _trained(step: Step, rows: Rows, split: Split) -> pa.Table:
    task, use_case, build = step.task, step.use_case, step.build
    joined, found = training_set(step.on, rows, step.features, task, step.connection)
    frame = model_input.frame(joined, list(found.kinds))
    key = _training_key(build, task, rows, frame)
    same = next((entry for entry in step.before if entry.tags.get("training_key") == key), None)
    if same is not None:
        words = f"already trained as version {same.version}: {same.tags['decision']}"
        return decision(build, use_case.name, words)
    judged = _judged(step, rows, split, frame, found)
    final = task.fit(frame, np.arange(len(rows)), rows, found.kinds)
    verdict = _compared(task, judged, joined)
    snapshot = lake.replace(
        f"training_{use_case.name}", _kept_rows(rows, split, frame), lake.lineage(build, None)
    )
    protected = _proxies(frame, final.selection.kinds, joined, found, rows, step)
    return _registered(step, judged, final, verdict, (key, snapshot, found.refused, protected))


def _judged(step: Step, rows: Rows, split: Split, frame: pd.DataFrame, found: Candidates) -> Judged:
    """The procedure on the training side, and its answers about the validation side."""
    task = step.task
    fitted = task.fit(frame, split.train, rows, found.kinds)
    held = frame.iloc[split.validation]
    answers = task.answers(fitted.model, held[list(fitted.selection.features)])
    said = anomaly_reviews.counts(step.use_case.name, step.build.as_of)
    truth = rows.labels[split.validation]
    return Judged(rows, split, held, frame, truth, answers, fitted, said)


@dataclass(frozen=True)
class Compared:
    """The validated procedure beside the champion and the baselines."""

    measures: Mapping[str, float]  # on all validation rows
    score: float  # the deciding one, on the rows that the champion was compared on
    rival: "Rival | None"
    baselines: Sequence[Known]

    def best_baseline(self, greater_is_better: bool) -> Known | None:
        """The one that is hardest to beat on its own rows."""
        sign = 1 if greater_is_better else -1
        return max(
            self.baselines,
            key=lambda known: sign * (known.value - known.own) / (abs(known.value) or 1.0),
            default=None,
        )


def _compared(task: Task, judged: Judged, joined: pa.Table) -> Compared:
    measures = task.measure(judged.truth, judged.answers)
    rival = _rival(task, judged, joined) if task.rivals else None
    score = measures[task.metric]
    if rival is not None:
        seen = {name: values[rival.seen] for name, values in judged.answers.items()}
        score = task.measure(judged.truth[rival.seen], seen)[task.metric]
    measures |= task.more_measures(judged)
    return Compared(measures, score, rival, task.baselines(judged))


def _registered(
    step: Step,
    judged: Judged,
    final: Fitted,
    compared: Compared,
    made: tuple[str, int, Mapping[str, str], Mapping[str, float | None]],
) -> pa.Table:
    """Draft, verdict, card, version; the decision's row."""
    task, use_case, build, rows = step.task, step.use_case, step.build, judged.rows
    key, snapshot, refused, proxies = made
    importances = task.importances(judged)
    better = task.greater_is_better[task.metric]
    cautions = task.cautions(judged)
    tags = _tags(build, use_case, key, snapshot)
    best = compared.best_baseline(better)
    if best:
        tags[BASELINE] = repr(best.value)
    entities = len(np.unique(rows.entities))
    rival = compared.rival
    with TemporaryDirectory() as folder:
        example = judged.frame.iloc[[-1]][list(final.selection.features)]
        with estimators.one_thread():
            draft = registry.draft(
                Path(folder) / "model", final.model, lambda model: task.answers(model, example)
            )
        ruling = registry.verdict(
            use_case.promotion,
            compared.score,
            rival.metrics[task.metric] if rival else None,
            draft.milliseconds,
            greater_is_better=better,
            baseline=(best.name, best.value, best.own) if best else None,
        )
        alias = registry.CHAMPION if ruling.promote else registry.CHALLENGER
        text = card.write(
            card.Facts(
                use_case=use_case,
                question=task.question(),
                importance=task.importance.format(metric=task.metric),
                as_of=build.as_of,
                lineage=tags | {"model_sha256": draft.digest, "as_of": build.as_of.isoformat()},
                rows=len(rows),
                entities=entities,
                counts=task.counts(rows),
                first_cutoff=rows.cutoffs.min().astype(datetime),
                last_cutoff=rows.cutoffs.max().astype(datetime),
                sampled=rows.sampled,
                split=_split_words(task, rows, judged.split),
                folds=(judged.fitted.folds, final.folds),
                calibration=(judged.fitted.calibration, final.calibration),
                parameters=(judged.fitted.parameters, final.parameters),
                metrics=compared.measures,
                champion_metrics=rival.metrics if rival else None,
                champion_version=rival.words if rival else None,
                baselines=compared.baselines,
                sections=task.sections(judged, compared.measures),
                selection=final.selection,
                refused=refused,
                importances=importances,
                proxies=proxies,
                milliseconds=draft.milliseconds,
                verdict=f"{alias}: {ruling.reason}",
            )
        )
        version = registry.register(
            use_case.name,
            draft,
            verdict=ruling,
            as_of=build.as_of,
            features=final.selection.features,
            categorical=[n for n, what in final.selection.kinds.items() if what == "category"],
            metrics=compared.measures,
            parameters={"estimator": use_case.estimator, **final.parameters},
            artifacts=_artifacts(Path(folder), text, task, judged, compared, importances),
            tags=tags | ({CAUTION: "; ".join(cautions)} if cautions else {}),
            sight=task.sight(final.model),
        )
    return decision(
        build,
        use_case.name,
        f"{'promoted' if ruling.promote else 'challenger'}: {ruling.reason}",
        trained_version=version,
        score=compared.score,
        champion_score=rival.metrics[task.metric] if rival else None,
        baseline=best.name if best else None,
        baseline_score=best.value if best else None,
        milliseconds=draft.milliseconds,
        rows=len(rows),
        entities=entities,
        features=len(final.selection.features),
        training_snapshot_id=snapshot,
    )


def _tags(build: Build, use_case: UseCase, key: str, snapshot: int) -> dict[str, str]:
    """What leads from a version back to its code and data."""
    return {
        "git_commit": lake.git_commit(),
        "dbt_invocation_id": build.run_id,
        "training_snapshot_id": str(snapshot),
        "training_table": f"{lake.NAMESPACE}.training_{use_case.name}",
        "training_key": key,
        **{f"version_{package}": number for package, number in registry.environment().items()},
    }


def _artifacts(
    folder: Path,
    text: str,
    task: Task,
    judged: Judged,
    compared: Compared,
    importances: Mapping[str, float],
) -> Path:
    """The files beside a version: its card, pictures, and `metrics.json` for machines."""
    files = folder / "artifacts"
    files.mkdir()
    (files / "model_card.md").write_text(text, encoding="utf-8")
    said = {name: task.use_case.words(name)[0] for name in importances}
    ordered = [
        (said[name], value) for name, value in sorted(importances.items(), key=lambda item: item[1])
    ]
    shown = bars(ordered, task.importance.format(metric=task.metric))
    for name, picture in {**task.pictures(judged), "importances.png": shown}.items():
        (files / name).write_bytes(picture)
    tables = {
        "metrics": compared.measures,
        **task.facts(judged),
        "baselines": {known.name: known.value for known in compared.baselines},
        "own_beside_baselines": {known.name: known.own for known in compared.baselines},
        "importances": importances,
        "champion_metrics": compared.rival.metrics if compared.rival else None,
    }
    (files / "metrics.json").write_text(json.dumps(tables, indent=2), encoding="utf-8")
    return files


@dataclass(frozen=True)
class Rival:
    """The champion on validation rows; `seen` are the positions among them that both models are
    compared on.
    """

    metrics: Mapping[str, float]
    seen: NDArray[np.int64]
    words: str


def _rival(task: Task, judged: Judged, joined: pa.Table) -> Rival | None:
    """The champion's measures on the validation rows whose labels it cannot have learned from (they
    matured after it was trained), or on all of them where those are too few: that favours the
    champion.

    None where there is no champion, or the feature tables no longer hold what it reads.
    """
    champion = registry.champion(task.use_case.name)
    if champion is None or not set(champion.features) <= set(joined.column_names):
        return None
    rows, held = judged.rows, judged.split.validation
    new = np.flatnonzero(rows.matured[held] > np.datetime64(champion.as_of, "us"))
    enough = task.comparable(judged.truth[new], rows.entities[held][new])
    seen = new if enough else np.arange(len(held))
    which = (
        "rows it cannot have learned from" if enough else "all rows, some of which it learned from"
    )
    frame = model_input.frame(joined.take(held[seen]), champion.features)
    answers = task.answers(champion.pipeline, frame)
    return Rival(
        task.measure(judged.truth[seen], answers),
        seen,
        f"{champion.version}, on {len(seen):,} {which}",
    )


def _proxies(
    frame: pd.DataFrame,
    kinds: Mapping[str, str],
    joined: pa.Table,
    found: Candidates,
    rows: Rows,
    step: Step,
) -> dict[str, float | None]:
    protected = {
        name: np.asarray(joined[name].cast(pa.string()).to_pylist(), dtype=object)
        for name in found.refused
        if found.bare.get(name, name) in step.use_case.protected
    }
    return selection.proxies(frame[list(kinds)], kinds, protected, rows.entities)


def _training_key(build: Build, task: Task, rows: Rows, frame: pd.DataFrame) -> str:
    """The same for a build that was run again: instant, use case, code, and every value learned
    from.
    """
    digest = hashlib.sha256()
    meta = build.use_cases[task.use_case.name]
    facts = [build.as_of, meta, build.protected, list(frame.columns)]
    digest.update(
        json.dumps([*facts, registry.environment()], default=str, sort_keys=True).encode()
    )
    here = Path(__file__).parents[1]
    for name in (*LEARNED_BY, *task.learned_by):
        digest.update((here / name).read_bytes())
    for values in (rows.entities, rows.cutoffs, rows.matured, rows.labels):
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
        if name in table.column_names:  # a key that is known ahead, and a feature
            continue
        table = table.append_column(name, column)
    return table


def _split_words(task: Task, rows: Rows, split: Split) -> str:
    parts = []
    for what, side in (("training", split.train), ("validation", split.validation)):
        counts = task.counts(
            Rows(
                rows.keys,
                rows.cutoffs[side],
                rows.matured[side],
                rows.labels[side],
                rows.entities[side],
                rows.apart[side],
                rows.sampled,
                None,
            )
        )
        people = len(np.unique(rows.entities[side]))
        parts.append(
            f"{what} {len(side):,} rows of {people:,} entities{', ' + counts if counts else ''}"
        )
    return f"{split.words}: {'; '.join(parts)}"
