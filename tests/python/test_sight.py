"""What a model cannot tell apart is not scored again, and full scoring would say the same of it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scoring_world
from scoring_world import FIRST, LATER, copy_store, use_home
from sklearn.calibration import CalibratedClassifierCV
from task_worlds import WORLDS, store

from ml import engine, lake, registry, tasks
from ml.core.errors import InsighteraError
from ml.core.use_case import Build, UseCase
from ml.features import model_input
from ml.publishing import predictions
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


def published(rows: pa.Table, case: Task) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Each answer as it stands: outputs, and which features lead it."""
    names = [output.name for output in case.outputs()]
    return {
        tuple(row[key] for key in case.answer_keys): {
            **{name: row[name] for name in (*names, "model_version")},
            "factors": leading(row["contributing_factors"]),
        }
        for row in rows.to_pylist()
    }


def leading(factors: str) -> set[tuple[str, bool]]:
    """The features that lead an answer (JSON), and whether each raises it."""
    return {(told["feature"], told["contribution"] > 0) for told in json.loads(factors)}


def standing(
    first: pa.Table, scored: pa.Table, case: Task
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What holds of each after a second run; answers that are made at once are all made anew."""
    new = {tuple(row[key] for key in case.together) for row in scored.to_pylist()}
    kept = {
        key: told
        for key, told in published(first, case).items()
        if key[: len(case.together)] not in new
    }
    return kept | published(scored, case)


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
    asked(task, tmp_path / "anew", monkeypatch)
    full = world.score(LATER, "run-2")
    assert standing(first, scored, case) == published(full, case)
    assert len(full) == len(first)
    if task in TREES:
        assert 0 < len(scored) < len(full) / 2
    else:
        assert len(scored) == len(full)


@pytest.mark.parametrize("tolerance", [0.0, 0.02, 0.3])
def test_what_is_published_stays_within_the_tolerance_of_a_full_scoring(
    tolerance: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Day after day each student's features move a little: what stands is held against what was
    published, not against yesterday, so that small moves do not add up.
    """
    monkeypatch.setitem(scoring_world.META, "publish_tolerance", tolerance)
    world = asked("classification", tmp_path / "daily", monkeypatch, 100)
    case = of(world)
    world.run(FIRST, "run-0")
    written = []
    for day in range(1, 5):
        as_of = LATER + timedelta(days=7 * (day - 1))
        world.connection.execute(
            f"""
            insert into label select nim, timestamp '{as_of}', null from dim
            where timestamp '{as_of}' not in (select cutoff from label);
            update academic set gpa_cumulative = gpa_cumulative + 0.03
            """
        )
        world.run(as_of, f"run-{day}")
        written.append(rows_of(world, f"run-{day}"))
        now = published(predictions.show(world.table, as_of=str(as_of)), case)
        use_home(tmp_path / f"anew-{day}", monkeypatch)
        copy_store(tmp_path / f"anew-{day}", store("classification"))
        full = published(world.score(as_of, "full"), case)
        use_home(tmp_path / "daily", monkeypatch)
        assert now.keys() == full.keys()
        for key, told in full.items():
            assert abs(now[key]["dropout_probability"] - told["dropout_probability"]) <= tolerance
            for name in ("risk_category", "predicted_dropout", "factors"):
                assert now[key][name] == told[name]
    assert (sum(written) < 60) == (tolerance > 0), written


def rows_of(world: Any, run_id: str) -> int:
    """How many rows a run published."""
    return lake.read_table(world.table, equal={"run_id": run_id}).num_rows


@pytest.mark.parametrize("told", [-0.1, "little", True, float("nan")])
def test_a_tolerance_that_is_none_is_said_so(told: Any) -> None:
    with pytest.raises(InsighteraError, match=r"publish_tolerance is .*a number from 0 up"):
        UseCase.of("x", scoring_world.META | {"publish_tolerance": told}, ())


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
