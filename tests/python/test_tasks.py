"""What every task must do, of each of them: what is wrong is said, nothing of the future is learned
from, what does not beat a baseline is no champion, and what is published is what was declared.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from conftest import PROJECT
from longitudinal import HORIZON, university
from scoring_world import FIRST, LATER, OnSpark, World, copy_store, in_process, use_home
from task_worlds import (
    ALWAYS,
    QUESTIONS,
    WORLDS,
    Collaboration,
    Enrolment,
    empty_store,
    store,
    train,
    train_and_die,
    training_set,
)

from ml import lake, registry, scoring, tasks
from ml.core.errors import InsighteraError
from ml.core.macros import rendered
from ml.core.use_case import Build
from ml.features import model_input

question = lru_cache(lambda task: QUESTIONS[task]())
each_task = pytest.mark.parametrize("task", QUESTIONS)
each_label = pytest.mark.parametrize("task", ["classification", "forecast", "pairs"])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose model store is empty."""
    copy_store(tmp_path, empty_store())
    use_home(tmp_path, monkeypatch)
    return tmp_path


ENVELOPE = [
    "contributing_factors",
    "feature_timestamp",
    "feature_hash",
    "model_name",
    "model_version",
    "inference_type",
    "run_id",
    "prediction_timestamp",
    "prediction_date",
]


def declared(asked: Any) -> tasks.Task:
    """The task of a question, as its meta declares it."""
    (row,) = asked.build(FIRST, "run-1").to_arrow_table().to_pylist()
    return tasks.of(Build.of(row).use_case(asked.name))


def task_of(task: str) -> tasks.Task:
    return declared(question(task))


EACH = ("classification", "forecast", "anomaly")
PROMOTION = {"margin": 0.0, "max_milliseconds": 500}
# tasks, what the meta is changed to, what the message says
WRONG: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
    (EACH, {"task": "regression"}, r"task is 'regression'; use one of classification, forecast"),
    (EACH, {"task": None}, "task is None"),
    (EACH, {"horizon_days": 0}, "horizon_days is 0"),
    (EACH, {"horizon_days": ...}, r"misses \['horizon_days'\]"),
    (EACH, {"treshold": 1}, r"unknown \['treshold'\]"),
    (EACH, {"split": "random"}, "split is 'random'; use one of entities_apart"),
    (EACH, {"promotion": {"metric": "accuracy", **PROMOTION}}, "metric is 'accuracy'"),
    (EACH, {"promotion": "roc_auc"}, "promotion is 'roc_auc'"),
    (EACH, {"estimator": "os.system"}, "estimator.*'os.system' is not allowed"),
    (EACH, {"estimator": 5}, "estimator is 5"),
    (EACH, {"grid": {"depth": [1]}}, r"grid.*no parameters \['depth'\]"),
    (EACH, {"grid": {"max_iter": 20}}, "grid.max_iter is 20"),
    *(
        (of, {"grid": {name: [value]}}, rf"grid \(.*'{name}': .*cannot be fitted: .*'{name}'.*Got")
        for of, name, value in (
            (("classification", "forecast"), "max_iter", -5),
            (("classification", "forecast"), "learning_rate", "fast"),
            (("anomaly",), "n_estimators", -5),
            (("anomaly",), "contamination", 7),
        )
    ),
    (EACH, {"entity_keys": []}, r"entity_keys is \[\]"),
    (EACH, {"features": "academic"}, "features is 'academic'"),
    (EACH, {"mandatory": None}, "mandatory is None"),
    *(
        (of, {"mandatory": [name]}, rf"\['{name}'\] are protected attributes.*`mandatory`")
        for of, name in ((("classification",), "agama"), (("forecast", "anomaly"), "gender"))
    ),
    (EACH, {"mandatory": ["absent"]}, "mandatory features cannot be used: absent"),
    (EACH, {"known_ahead": ["absent"]}, r"lacks the columns \['absent'\].*known_ahead"),
    (
        ("classification", "forecast"),
        {"estimator": "sklearn.linear_model.ridge_regression", "grid": {}},
        "estimator.*No scikit-learn estimator 'sklearn.linear_model.ridge_regression'",
    ),
    (
        ("anomaly",),
        {"estimator": "sklearn.neighbors.kneighbors_graph", "grid": {}},
        "estimator.*No outlier detector 'sklearn.neighbors.kneighbors_graph'",
    ),
    (
        ("classification",),
        {"estimator": "sklearn.linear_model.Ridge", "grid": {}},
        "estimator.*no probabilities",
    ),
    (
        ("forecast",),
        {"estimator": "sklearn.linear_model.LogisticRegression", "grid": {}},
        "estimator.*forecasts no numbers",
    ),
    (("classification",), {"thresholds": {"Low": 0.1, "High": 0.6}}, "thresholds.*below 0.1"),
    (("classification",), {"thresholds": ...}, r"misses \['thresholds'\]"),
    (("classification",), {"interval": 0.8}, r"unknown \['interval'\]"),
    (("forecast",), {"interval": 1.5}, "interval is 1.5"),
    (("forecast",), {"interval": ...}, r"misses \['interval'\]"),
    (("forecast",), {"baselines": ...}, r"misses \['baselines'\]"),
    (("forecast",), {"baselines": {}}, r"baselines is \{\}"),
    (("forecast",), {"baselines": {"naive": "absent"}}, r"\['absent'\] are named as baselines"),
    (("forecast",), {"baselines": {"naive": 3}}, r"baselines.*3"),
    (("forecast",), {"non_negative": "yes"}, "non_negative is 'yes'"),
    (("forecast",), {"unit": 7}, "unit is 7"),
    (("forecast",), {"totals": "all"}, "totals is 'all'"),
    (("classification", "pairs"), {"top_k": 0}, "top_k is 0"),
    (("classification",), {"top_k": 3}, "asks for a second entity key"),
    (("pairs",), {"join_key_map": ["a"]}, r"join_key_map is \['a'\]"),
    (("pairs",), {"join_key_map": {"a": "nidn_a"}}, "join_key_map.a is 'nidn_a'"),
    (("pairs",), {"join_key_map": {"A b": {"nidn": "nidn_a"}}}, "join_key_map.A b"),
    (("pairs",), {"join_key_map": {"a": {"nidn": "nidn_a"}}}, "split is nodes_apart.*two sides"),
    (
        ("pairs",),
        {
            "join_key_map": {
                "a": {"nidn": "nidn_a"},
                "b": {"nidn": "nidn_b"},
                "c": {"nidn": "absent"},
            }
        },
        r"lacks the columns \['absent'\]",
    ),
    (("anomaly",), {"flagged_share": 0}, "flagged_share is 0"),
    (("anomaly",), {"severities": {"Medium": 90}}, "severities.*the lowest is 0"),
    (("anomaly",), {"severities": ...}, r"misses \['severities'\]"),
    (("anomaly",), {"domain": ""}, "domain is ''"),
    (("anomaly",), {"period": "fortnight"}, "period is 'fortnight'"),
    (("anomaly",), {"types": ["late"]}, r"types is \['late'\]"),
    (("anomaly",), {"grid": {"n_estimators": [10, 20]}}, "grid has 2 points"),
]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("task", "changes", "said"),
    [(task, changes, said) for wrong, changes, said in WRONG for task in wrong],
)
def test_wrong_meta_is_one_message_with_file_and_field(
    task: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InsighteraError, match=said) as error:
        train(question(task), retrain=ALWAYS, **changes)
    assert f"label_{question(task).name}" in str(error.value)


# tasks, SQL of the label's rows over those of the question (`sound`), what the message says
UNSOUND = [
    (("classification", "forecast"), "select * exclude (label) from sound", r"columns \['label'\]"),
    (EACH, "select * exclude (cutoff) from sound", r"columns \['cutoff'\]"),
    (("forecast",), "select * exclude (target_period) from sound", r"\['target_period'\]"),
    (("forecast",), "select * exclude (matures_at) from sound", r"\['matures_at'\]"),
    (("forecast",), "select * exclude (horizon) from sound", r"\['horizon'\]"),
    (("forecast",), "select * replace (0 as horizon) from sound", "`horizon` must be a whole"),
    (("forecast",), "select * replace (1.5 as horizon) from sound", "`horizon` must be a whole"),
    (("forecast",), "select * replace ('next' as horizon) from sound", "`horizon` must be a whole"),
    (
        ("forecast",),
        "select * replace (null::varchar as target_period) from sound",
        "`target_period` must be a period",
    ),
    (("forecast",), "select * replace (cutoff as matures_at) from sound", "`matures_at` must lie"),
    (("classification",), "select * replace (label * 0.5 as label) from sound", "0, 1 or NULL"),
    (("forecast",), "select * replace (-1 - label as label) from sound", "not below 0"),
    *(
        (
            ("classification", "forecast"),
            f"select * replace ({value} + label as label) from sound",
            "`label` must be",
        )
        for value in ("'nan'::double", "'inf'::double", "'-inf'::double")
    ),
    (
        ("classification", "forecast"),
        "select * replace ('many' || label as label) from sound",
        "`label` must be",
    ),
    # a label that looks ahead
    (
        ("classification",),
        "select nim, cutoff, 0 as label from weeks",
        f"carry a label although their horizon of {HORIZON} days ends after as_of 2021-03-01",
    ),
    (
        ("forecast",),
        "select * replace (coalesce(label, 10) as label) from sound",
        "carry a label although `matures_at` is later than as_of 2024-02-01",
    ),
    (
        ("forecast",),
        "select * replace (if(label is null, matures_at, null) as matures_at) from sound",
        "carry a label although `matures_at` is later than",
    ),
]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("task", "query", "said"),
    [(task, query, said) for wrong, query, said in UNSOUND for task in wrong],
)
def test_rows_that_are_none_or_look_ahead_stop_the_build(task: str, query: str, said: str) -> None:
    asked = question(task)
    sound = f"with sound as ({asked.spine(asked.asked_at).sql_query()}) {query}"
    with pytest.raises(InsighteraError, match=said) as error:
        train(asked, spine=sound, retrain=ALWAYS)
    assert f"label_{asked.name}" in str(error.value)


@pytest.mark.usefixtures("home")
def test_one_row_that_is_early_is_counted() -> None:
    """Per row, by its own `matures_at`, however many others of the same cutoff are known."""
    asked = Enrolment(30)
    last = asked.asked_at - timedelta(days=182)
    asked.connection.execute(
        f"""
        update questions set matures_at = timestamp '{asked.asked_at}' + interval 1 microsecond
        where kode_prodi = 'P3' and horizon = 1 and cutoff = timestamp '{last}'
        """
    )
    rows, _ = training_set(asked, asked.asked_at)
    assert len(rows) == len(training_set(question("forecast"), asked.asked_at)[0]) - 1
    told = "select * replace (coalesce(label, 1) as label) from sound where kode_prodi = 'P3'"
    sound = f"with sound as ({asked.spine(asked.asked_at).sql_query()}) {told}"
    early = asked.connection.sql(f"select count(*) from ({sound}) where matures_at > '{FIRST}'")
    ((expected,),) = early.fetchall()
    with pytest.raises(InsighteraError, match=f": {expected} rows carry a label"):
        train(asked, spine=sound, retrain=ALWAYS)


# the feature table that comes to say otherwise, its column, and the truth that comes to be otherwise
LATER_KNOWN = {
    "classification": (
        "academic",
        "gpa_cumulative",
        "weeks set dropout_at = '2030-01-01' where dropout_at",
    ),
    "forecast": ("enrolment", "active_students", "questions set truth = 999 where matures_at"),
    "anomaly": ("habit", "attendance_change", "questions set cutoff = '2030-01-01' where cutoff"),
    "pairs": ("publication", "pub_count", "questions set met_at = '2030-01-01' where met_at"),
}


@each_task
def test_what_became_known_later_changes_neither_rows_nor_model(task: str) -> None:
    """Metamorphic: versions after the last cutoff, corrections of the past that came after it, and
    truths of after `as_of` are not known to an earlier build.
    """
    asked = WORLDS[task](30) if task != "classification" else university(students=100, seed=5)
    as_of = asked.asked_at - timedelta(days=30)
    rows, expected = training_set(asked, as_of)
    before = fitted_answers(task, rows, expected)
    table, column, truth = LATER_KNOWN[task]
    last = rows.cutoffs.max().astype(object)
    asked.connection.execute(
        f"""
        update {truth} > timestamp '{as_of}';
        update {table} set {column} = 99 where valid_from > timestamp '{last}';
        insert into {table} by name
            select * replace (
                -5 as {column}, timestamp '{last}' + interval 1 second as system_from
            )
            from {table};
        """
    )
    again, found = training_set(asked, as_of)
    assert expected.num_rows > 100
    assert found.equals(expected)
    for name, said in fitted_answers(task, again, found).items():
        np.testing.assert_array_equal(said, before[name], err_msg=name)
    asked.connection.execute(f"update {table} set {column} = -1")  # the test can fail
    assert not training_set(asked, as_of)[1].equals(expected)


def fitted_answers(task: str, rows: Any, joined: pa.Table) -> Mapping[str, Any]:
    """What a model that is fitted to all rows says of them."""
    case = task_of(task)
    names = [*dict.fromkeys(set(joined.column_names) - {*rows.keys.column_names, "nama"})]
    names = sorted({*names, *case.use_case.known_ahead})
    frame = model_input.frame(joined, names)
    kinds = {name: str(model_input.kind(joined.schema.field(name).type)) for name in names}
    fitted = case.fit(frame, np.arange(len(rows)), rows, kinds)
    return case.answers(fitted.model, frame[list(fitted.selection.features)])


def foretold(task: str) -> Any:
    """A question that a baseline answers without fault, so that nothing can be better."""
    asked = QUESTIONS[task]()
    if task == "classification":
        asked.connection.execute(
            f"""
            update academic set gpa_cumulative = 4 - (
                select count(*) from weeks
                where weeks.nim = academic.nim and cutoff = valid_from + interval 1 day
                    and dropout_at <= cutoff + interval {HORIZON} day
            )
            """
        )
    elif task == "pairs":
        asked.connection.execute(
            """
            create or replace table topic as
            select
                nidn_a, nidn_b, cutoff - interval 1 day as valid_from,
                if(met_at is null, 1.0, 0.0) as topic_distance,
                timestamp '9999-12-31' as valid_to, valid_from as system_from,
                timestamp '9999-12-31' as system_to
            from questions
            """
        )
    else:
        asked.connection.execute(
            """
            update questions set truth = 100 + substr(kode_prodi, 2)::int;
            update enrolment set active_students = 100 + substr(kode_prodi, 2)::int;
            """
        )
    return asked


@each_label
@pytest.mark.usefixtures("home")
def test_what_does_not_beat_its_baseline_is_no_champion(task: str) -> None:
    asked = foretold(task)
    decision = train(asked)
    assert re.match(r"challenger: .*does not beat the baseline's", decision["decision"])
    assert decision["champion_version"] is None
    (version,) = registry.list_versions(asked.name)
    assert version.aliases == ("challenger",)
    if isinstance(asked, World):  # and without a champion nothing is scored
        assert asked.score(FIRST, "run-1").num_rows == 0
        assert not lake.exists(asked.table)


@each_task
def test_killed_in_training_then_run_again(task: str, home: Path) -> None:
    asked = question(task)
    for moment, versions in (("drafted", 0), ("registered", 1)):
        assert in_process(train_and_die, str(home), task, moment) == -9
        assert len(registry.list_versions(asked.name)) == versions
        assert registry.champion_version(asked.name) is None
    again = train(asked, run_id="run-2", retrain=ALWAYS)
    assert again["decision"].startswith("already trained as version 1")
    assert again["champion_version"] == "1"
    (version,) = registry.list_versions(asked.name)
    champion = registry.champion(asked.name)
    assert champion is not None
    kept = lake.read_table(
        version.tags["training_table"].removeprefix("ml."),
        snapshot=int(version.tags["training_snapshot_id"]),
    )
    rows, _ = training_set(asked, asked.asked_at)
    names = rows.keys.column_names
    assert kept.select(names).to_pylist() == rows.keys.to_pylist()


def attributes_of(world: World) -> list[str]:
    """The attributes as an answer carries them: those of people once for each side of a pair."""
    held = list(world.meta()["attributes"])
    sides = world.meta().get("join_key_map", {})
    return [f"{side}__{name}" for side in sides for name in held] or held


def published_home(task: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_store(home, store(task))
    use_home(home, monkeypatch)


@each_task
def test_what_is_published_is_what_was_declared(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_home(task, tmp_path, monkeypatch)
    world = WORLDS[task](40)
    rows = world.run(FIRST, "run-1")
    case = declared(world)
    outputs = [output for output in case.outputs() if output.name not in case.answer_keys]
    assert rows.column_names == [
        *case.answer_keys,
        *attributes_of(world),
        *(output.name for output in outputs),
        *ENVELOPE,
    ]
    for output in case.outputs():
        assert rows.schema.field(output.name).type == output.type, output.name
    assert rows.num_rows == 40 * world.answers
    assert len(set(zip(*(rows[key].to_pylist() for key in case.answer_keys), strict=True))) == len(
        rows
    )
    held = {
        output.role: rows[output.name].to_numpy(zero_copy_only=False) for output in case.outputs()
    }
    if "score" in held:
        assert ((held["score"] >= 0) & (held["score"] <= 100)).all()
    if "lower" in held:
        assert (held["lower"] <= held["value"]).all()
        assert (held["value"] <= held["upper"]).all()
        assert (held["lower"] >= 0).all()
        assert set(held["horizon"]) == {1, 2}
    if "category" in held:
        named = [category is not None for category in held["category"]]
        assert named == (held["flag"].tolist() if task == "anomaly" else [True] * len(rows))
        assert any(named)
    assert np.isfinite(held["value"]).all()
    for factors in rows["contributing_factors"].to_pylist():
        told = json.loads(factors)
        assert told
        assert {"feature", "value", "contribution"} <= set(told[0])


def test_a_total_is_that_of_the_model_at_the_horizon_that_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_home("forecast", tmp_path, monkeypatch)
    world = Enrolment(40)
    rows = world.run(FIRST, "run-1").to_pandas()
    ends = rows["horizon"] == 2
    assert rows.loc[~ends, "total_enrolment"].isna().all()
    assert (rows.loc[ends, "total_lower"] <= rows.loc[ends, "total_enrolment"]).all()
    sums = rows.groupby("kode_prodi")["forecasted_enrolment"].sum()
    found = rows[ends].set_index("kode_prodi")
    assert np.allclose(found["total_enrolment"], sums[found.index])
    champion = registry.champion(world.name)
    assert champion is not None
    bounds = rows.groupby("kode_prodi")[["enrolment_lower", "enrolment_upper"]].sum()
    narrower = found["total_upper"] - found["total_lower"] < (
        bounds["enrolment_upper"] - bounds["enrolment_lower"]
    )
    assert narrower.mean() > 0.9, "errors cancel in a sum"
    model, asked = champion.pipeline, rows.sort_values(["kode_prodi", "horizon"])
    read = feature_frame(world, asked)
    history = tasks.protocol.Rows(
        keys=None,
        cutoffs=np.full(len(read), np.datetime64(FIRST)),
        matured=np.full(len(read), np.datetime64(LATER)),
        labels=np.zeros(len(read)),
        entities=np.unique(asked["kode_prodi"], return_inverse=True)[1].astype(np.uint64),
        apart=None,
        sampled=False,
        spine=None,
    )
    for total, (_, row) in zip(
        model.totals(read, history), found.sort_index().iterrows(), strict=True
    ):
        assert (total.value, total.lower, total.upper) == pytest.approx(
            (row["total_enrolment"], row["total_lower"], row["total_upper"]), abs=1e-4
        )


def feature_frame(world: World, rows: Any) -> Any:
    """What the champion read of published rows, from their factors and keys."""
    champion = registry.champion(world.name)
    held = [
        {factor["feature"]: factor["value"] for factor in json.loads(told)}
        for told in rows["contributing_factors"]
    ]
    return pd.DataFrame(held)[list(champion.features)]


def test_the_likeliest_of_each_are_published_and_ranked_anew_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of everyone's pairs the three likeliest; where one pair changes, all of its first are ranked anew,
    and who is no more among the three is gone.
    """
    plain, answers = Collaboration(40).meta(), {}
    for name, held in (("all", {"top_k": 8}), ("top", {"top_k": 3})):
        published_home("pairs", tmp_path / name, monkeypatch)
        world = Collaboration(40)
        monkeypatch.setattr(Collaboration, "meta", lambda _, held=held: plain | held)
        before, after = (world.run(at, f"run-{at:%d}").to_pylist() for at in (FIRST, LATER))
        answers[name] = before, after
        if name == "top":
            assert all(
                row["inference_type"] == "incremental" for row in after if row["run_id"] == "run-08"
            )
            again = {row["nidn_a"] for row in after if row["run_id"] == "run-08"}
            assert again == {f"R{i}" for i in range(0, 40, world.every)}
            moved = {row["nidn_b"] for row in before if row["nidn_a"] in again} != {
                row["nidn_b"] for row in after if row["nidn_a"] in again
            }
            assert moved, "the ranks never changed: too plain a test"
    for everyone, best in zip(answers["all"], answers["top"], strict=True):
        assert len(everyone) == 40 * 8
        for side in ("a", "b"):
            names = [f"Name {row[f'nidn_{side}'][1:]}" for row in everyone]
            assert [row[f"{side}__nama"] for row in everyone] == names
        expected = {(r["nidn_a"], r["rank"]): r["nidn_b"] for r in everyone if r["rank"] <= 3}
        assert {(r["nidn_a"], r["rank"]): r["nidn_b"] for r in best} == expected
        for row in everyone:
            below = [
                other["collaboration_probability"]
                for other in everyone
                if other["nidn_a"] == row["nidn_a"] and other["rank"] > row["rank"]
            ]
            assert row["collaboration_probability"] >= max(below, default=0)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_session")
@each_task
def test_spark_publishes_what_duckdb_does(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scored anew and then where something changed; the engines differ in the order of rows alone."""
    plain = WORLDS[task]
    spark = type(f"{plain.__name__}OnSpark", (OnSpark, plain), {})
    answers = []
    for kind in (plain, spark):
        published_home(task, tmp_path / kind.__name__, monkeypatch)
        world = kind(40)
        answers.append([world.run(at, f"run-{at:%d}") for at in (FIRST, LATER)])
    keys = [(key, "ascending") for key in plain.keys]
    for expected, found in zip(*answers, strict=True):
        assert found.schema.equals(expected.schema)
        told, held = expected.sort_by(keys).to_pandas(), found.sort_by(keys).to_pandas()
        pd.testing.assert_frame_equal(held, told, rtol=1e-9, atol=1e-9)


@each_task
def test_a_row_scored_alone_is_the_row_scored_among_others(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_home(task, tmp_path / "all", monkeypatch)
    world = WORLDS[task](40)
    keys = declared(world).answer_keys
    among = {
        tuple(row[key] for key in keys): row for row in world.score(FIRST, "run-1").to_pylist()
    }
    key = world.meta()["entity_keys"][0]
    for number in (0, 7):
        published_home(task, tmp_path / str(number), monkeypatch)
        alone = WORLDS[task](40)
        alone.connection.execute(f"delete from {alone.asked} where substr({key}, 2) <> '{number}'")
        rows = alone.score(FIRST, "run-1").to_pylist()
        assert len(rows) == world.answers
        for row in rows:
            assert row == among[tuple(row[key] for key in keys)]


@each_task
def test_a_spine_that_lacks_a_column_is_said_where_nothing_is_trained(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A champion is kept for months: scoring then is the first to read the label's rows."""
    published_home(task, tmp_path, monkeypatch)
    world = WORLDS[task](20)
    for column in (*declared(world).beside, *world.meta()["entity_keys"], "cutoff"):
        lacking = {"spine": world.spine(FIRST).project(f"* exclude ({column})")}
        with pytest.raises(InsighteraError, match=f"label_{world.name} lacks .*'{column}'"):
            scoring.score(
                world.name,
                build=world.build(FIRST, "run-1"),
                **world.relations(FIRST) | lacking,
            )


SPINES = {
    "classification": "label_spine",
    "forecast": "forecast_spine",
    "anomaly": "anomaly_spine",
    "pairs": "label_spine",
}


@each_task
def test_sql_and_python_say_the_same_of_a_task(task: str) -> None:
    case = task_of(task)
    told = rendered("duckdb", "tasks/task_columns").task_columns(case.kind)
    roles = {output.role: output.name for output in case.outputs()}
    assert told == {
        "label": case.label or None,
        "target": roles.get("target"),
        "horizon": roles.get("horizon"),
    }
    assert case.target_columns == tuple(
        told[role] for role in ("target", "horizon") if told[role] is not None
    )
    spine = (PROJECT / "tests" / "generic" / f"{SPINES[task]}.sql").read_text()
    for column in filter(None, (*case.target_columns, case.label, case.matures, "cutoff")):
        assert re.search(rf"\b{column}\b", spine), column


def test_every_task_is_known_to_sql_and_has_a_question_here() -> None:
    assert {task_of(name).kind for name in QUESTIONS} == set(tasks.TASKS)
    assert set(QUESTIONS) == set(WORLDS) == set(SPINES)
    columns = rendered("duckdb", "tasks/task_columns").task_columns
    assert set(columns("no such task").values()) == {None}


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "models" / "labels").glob("label_*.yml")), ids=lambda path: path.stem
)
def test_every_label_has_the_data_test_of_its_task(path: Path) -> None:
    (model,) = yaml.safe_load(path.read_text())["models"]
    task = model["config"]["meta"]["use_case"]["task"]
    held = [name for test in model["data_tests"] for name in test]
    assert [name for name in held if name in SPINES.values()] == [SPINES[task]]
