"""What a model cannot tell apart is not scored again, and full scoring would say the same of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scoring_world import FIRST, LATER, copy_store, use_home
from sklearn.calibration import CalibratedClassifierCV
from task_worlds import WORLDS, store

from ml import engine, lake, registry, tasks
from ml.core.errors import InsighteraError
from ml.core.use_case import Build
from ml.features import model_input
from ml.scoring import step
from ml.tasks import estimators, sight
from ml.tasks.protocol import Task

each_task = pytest.mark.parametrize("task", WORLDS)
TREES = ("classification", "forecast", "pairs")  # whose champions do not see every value
# the feature table whose numbers are nudged, its column, and by how much
NUDGED = {
    "classification": ("academic", "gpa_cumulative", 0.002),
    "forecast": ("enrolment", "applicants", 0.002),
    "anomaly": ("habit", "attendance_change", 0.002),
    "pairs": ("topic", "topic_distance", 0.0002),
}


def asked(task: str, home: Path, monkeypatch: pytest.MonkeyPatch, entities: int = 200) -> Any:
    """The task's world with a champion in `home`."""
    copy_store(home, store(task))
    use_home(home, monkeypatch)
    return WORLDS[task](entities)


def of(world: Any) -> Task:
    (row,) = world.build(FIRST, "run-1").to_arrow_table().to_pylist()
    return tasks.of(Build.of(row).use_case(world.name))


def read(world: Any) -> pa.Table:
    """What scoring reads of the world's features at the first instant."""
    chosen = registry.champion_entry(world.name)
    run = Build.read(world.build(FIRST, "run-1"))
    with engine.opened(world.session()) as on:
        frame = step._hashed(on, run, of(world), world.spine(FIRST), world.features(), chosen)
        return on.arrow(frame)


def moved(table: pa.Table, columns: tuple[str, ...], random: np.random.Generator) -> pa.Table:
    """Each value a little other, now and then much, or missing; texts drawn anew, some never seen."""
    for name in columns:
        at, old = table.column_names.index(name), table[name]
        lost = random.random(len(table)) < 0.05
        if model_input.kind(old.type) == "category":
            words = np.asarray([*old.to_pylist(), "never seen"], dtype=object)
            new = pa.array(random.choice(words, len(table)), mask=lost)
        else:
            width = random.choice([0, 1e-9, 1e-3, 1.0], len(table), p=[0.4, 0.2, 0.35, 0.05])
            values = old.cast(pa.float64()).to_numpy(zero_copy_only=False)
            new = pa.array(values + width * random.normal(size=len(table)), mask=lost)
        table = table.set_column(at, name, new)
    return table


@each_task
def test_where_nothing_is_seen_to_differ_every_answer_is_the_same(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = asked(task, tmp_path, monkeypatch)
    case, champion = of(world), registry.champion(world.name)
    seen = registry.sight(registry.champion_entry(world.name))
    held = read(world)
    free = tuple(name for name in champion.features if name not in case.target_columns)
    random = np.random.default_rng(5)
    table = pa.concat_tables([moved(held, free, random) for _ in range(20)])
    frame = model_input.frame(table, champion.features)
    digests = pd.Series(model_input.digest(table, champion.features, seen).to_pylist())
    whole = pd.Series(model_input.digest(table, champion.features).to_pylist())
    first = digests.groupby(digests).transform(lambda same: same.index[0]).to_numpy()
    told = case.answers(champion.pipeline, frame)
    told = {name: said for name, said in told.items() if name != "explanation" or task in TREES}
    shares = case.contributions(champion.pipeline, frame)
    for name, said in (told | {"contributions": shares}).items():
        np.testing.assert_array_equal(said, said[first], err_msg=name)
    fewer = whole.nunique() - digests.nunique()
    assert (fewer > 0) == (task in TREES) == bool(seen)
    assert digests.nunique() > 1


def published(rows: pa.Table, case: Task) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Each answer as it stands: outputs and digest; the factors without their values."""
    names = [output.name for output in case.outputs()]
    return {
        tuple(row[key] for key in case.answer_keys): {
            **{name: row[name] for name in (*names, "feature_hash", "model_version")},
            "factors": [
                (told["feature"], told["contribution"])
                for told in json.loads(row["contributing_factors"])
            ],
        }
        for row in rows.to_pylist()
    }


@each_task
def test_what_stands_is_what_a_full_scoring_says(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entity's features move a little from one build to the next, as by the clock."""
    world = asked(task, tmp_path / "daily", monkeypatch)
    case = of(world)
    first = world.run(FIRST, "run-1")
    table, column, step_ = NUDGED[task]
    world.connection.execute(f"update {table} set {column} = {column} + {step_}")
    scored = world.score(LATER, "run-2")
    world.publish(LATER, "run-2", scored)
    new = {tuple(row[key] for key in case.together) for row in scored.to_pylist()}
    kept = {
        key: told
        for key, told in published(first, case).items()
        if key[: len(case.together)] not in new  # whose answers are made at once are all made anew
    }
    standing = kept | published(scored, case)
    asked(task, tmp_path / "anew", monkeypatch)
    full = world.score(LATER, "run-2")
    assert standing == published(full, case)
    assert len(full) == len(first)
    if task in TREES:
        assert 0 < len(scored) < len(full) / 2
    else:
        assert len(scored) == len(full)


def test_a_model_that_is_no_lone_tree_sees_every_value() -> None:
    random = np.random.default_rng(2)
    rows = pd.DataFrame({"x": random.normal(size=400), "word": random.choice(["a", "b"], 400)})
    label = (rows["x"] + random.normal(size=400) > 0).astype(int)
    kinds = {"x": "number", "word": "category"}
    trees = estimators.pipeline("sklearn.ensemble.HistGradientBoostingClassifier", kinds, {})
    linear = estimators.pipeline("sklearn.linear_model.LogisticRegression", kinds, {})
    bitsets = estimators.pipeline(
        "sklearn.ensemble.HistGradientBoostingClassifier", kinds, {"categorical_features": [1]}
    )
    together = CalibratedClassifierCV(trees, cv=2, ensemble=True)
    alone = CalibratedClassifierCV(trees, cv=2, ensemble=False)
    assert sight.of(alone.fit(rows, label)).keys() == {"x", "word"}
    for model in (linear, bitsets, together):
        assert sight.of(model.fit(rows, label)) == {}


def test_places_are_between_split_points() -> None:
    told = {
        "x": {"splits": [-1.0, 0.0, float("inf")]},
        "unused": {"splits": []},
        "word": {"splits": [0.5], "categories": ["a", "b", "c"]},
    }
    assert json.loads(json.dumps(told)) == told
    rows = {
        "x": [-2.0, -1.0, -0.5, -0.0, 0.0, 5e-324, 1e9, None, float("nan")],
        "unused": [None, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        "word": ["a"] * 9,
    }
    digests = model_input.digest(pa.table(rows), list(rows), told).to_pylist()
    assert [digests.index(each) for each in digests] == [0, 0, 2, 2, 2, 5, 5, 7, 7]
    words = pa.table(
        {"x": [0.0] * 5, "unused": [0.0] * 5, "word": ["a", "b", "c", "never seen", None]}
    )
    digests = model_input.digest(words, list(rows), told).to_pylist()
    assert [digests.index(each) for each in digests] == [0, 1, 1, 3, 3]


def test_a_sight_that_was_altered_scores_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = asked("forecast", tmp_path, monkeypatch, 30)
    entry = registry.champion_entry(world.name)
    path = Path(entry.source.removeprefix("file://")).parent / "sight.json"
    text = path.read_text()
    try:
        path.write_text("{}")
        with pytest.raises(
            InsighteraError, match=r"sight\.json is not the file that was registered"
        ):
            world.score(FIRST, "run-1")
        assert not lake.exists(world.table)
    finally:
        path.write_text(text)
