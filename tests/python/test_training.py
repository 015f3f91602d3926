"""Training as a build does it: real tables, a real registry, real Iceberg; nothing of the future in
the rows.
"""

import json
import re
import shutil
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from longitudinal import HORIZON, META, University, university
from sklearn.ensemble import HistGradientBoostingClassifier

from ml import engine, lake, tasks
from ml.core.errors import InsighteraError
from ml.core.use_case import Build
from ml.features import model_input
from ml.registry import versions as registry
from ml.tasks import calibrated, estimators, evaluation, explain
from ml.training import policy
from ml.training import rows as training_rows

AS_OF = datetime(2021, 3, 1)
NAME = "student_dropout"


@pytest.fixture(scope="module")
def campus() -> University:
    return university()


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A new MLflow store, made once: creating it takes seconds."""
    home = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        use_home(patch, home)
        registry._client().search_registered_models()
    return home / "mlflow.db"


def use_home(patch: pytest.MonkeyPatch, home: Any) -> None:
    patch.setenv("INSIGHTERA_HOME", str(home))
    for variable in (
        "MLFLOW_TRACKING_URI",
        "INSIGHTERA_ARTIFACTS",
        "INSIGHTERA_LAKE",
        "INSIGHTERA_CATALOG_URI",
    ):
        patch.delenv(variable, raising=False)


@pytest.fixture
def home(tmp_path, monkeypatch, empty_store):
    use_home(monkeypatch, tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path


def train(campus: University, as_of: datetime = AS_OF, **changes: Any) -> dict[str, Any]:
    run_id = changes.pop("run_id", "run-1")
    (row,) = policy.train(
        NAME,
        build=campus.build(as_of, run_id, **changes),
        spine=campus.spine(as_of),
        features=campus.features(),
        connection=campus.connection,
    ).to_pylist()
    return row


def use_case(campus: University, as_of: datetime = AS_OF, **changes: Any) -> Any:
    (row,) = campus.build(as_of, **changes).to_arrow_table().to_pylist()
    return Build.of(row).use_case(NAME)


def training_set(campus: University, as_of: datetime = AS_OF, **changes: Any) -> Any:
    case = tasks.of(use_case(campus, as_of, **changes))
    with engine.opened() as on:
        rows = training_rows.matured(on, campus.spine(as_of), case, as_of)
        joined, found = training_rows.training_set(
            on, rows, campus.features(), case, campus.connection
        )
    return rows, joined.select([*rows.keys.column_names, *found.kinds])


@pytest.fixture(scope="module")
def first_build(campus, tmp_path_factory, empty_store):
    """One build that trains: its home and its decision."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(empty_store, home / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        use_home(patch, home)
        yield home, train(campus)


def test_the_first_model_that_passes_is_promoted(first_build):
    _, row = first_build
    assert row["decision"].startswith("promoted: roc_auc")
    assert row["champion_version"] == row["trained_version"] == "1"
    (version,) = registry.list_versions(NAME)
    measures = version.metrics
    assert measures["roc_auc"] == row["score"] > 0.8
    assert measures["brier"] < measures["base_rate"] * (1 - measures["base_rate"])
    assert row["score"] > row["baseline_score"] > 0.5
    assert row["baseline"].startswith("logistic regression on ")
    assert row["run_id"] == "run-1"
    assert row["as_of"] == AS_OF
    assert row["champion_score"] is None


def test_the_decision_has_the_stated_columns(first_build):
    _, row = first_build
    assert list(row) == policy.DECISION.names


def test_a_version_carries_what_leads_back(first_build):
    home, row = first_build
    (version,) = registry.list_versions(NAME)
    assert version.tags["dbt_invocation_id"] == "run-1"
    assert version.tags["git_commit"] == lake.git_commit()
    assert version.tags["training_snapshot_id"] == str(row["training_snapshot_id"])
    assert set(META["mandatory"]) <= set(version.features)
    assert len(version.features) <= META["max_features"]
    assert not {"jenis_kelamin", "agama", "wilayah", "nama", "constant"} & set(version.features)
    names = {path.name for path in (home / "mlartifacts").rglob("*") if path.is_file()}
    pictures = {"roc.png", "precision_recall.png", "calibration.png", "importances.png"}
    assert pictures | {"model_card.md", "metrics.json"} <= names
    for name in pictures:
        (file,) = (home / "mlartifacts").rglob(name)
        assert file.read_bytes().startswith(b"\x89PNG")
    (file,) = (home / "mlartifacts").rglob("metrics.json")
    held = json.loads(file.read_text())
    assert held["metrics"]["roc_auc"] == row["score"]
    assert held["thresholds"]["Low"]["recall"] == 1.0
    assert [band["category"] for band in held["bands"]] == list(META["thresholds"])
    assert sum(band["rows"] for band in held["bands"] if band["mean_probability"]) > 0
    assert all(band["entities"] <= band["rows"] for band in held["bands"])


def test_a_category_that_does_not_hold_is_said_of_its_version(first_build):
    """The card, the registry and what dashboards read say the same of it."""
    home, _ = first_build
    (version,) = registry.list_versions(NAME)
    (file,) = (home / "mlartifacts").rglob("metrics.json")
    bands = [evaluation.Band(**band) for band in json.loads(file.read_text())["bands"]]
    said = evaluation.band_warnings(bands)
    (card,) = (home / "mlartifacts").rglob("model_card.md")
    assert card.read_text().count("**Warning**") == len(said)
    assert all(f"**Warning**: {sentence}." in card.read_text() for sentence in said)
    assert version.tags.get(policy.CAUTION, "") == "; ".join(said)


def test_the_card_says_what_was_done_and_names_nobody(first_build):
    home, _ = first_build
    (file,) = (home / "mlartifacts").rglob("model_card.md")
    card = file.read_text()
    assert "measures are those of the *procedure*" in card
    assert f"training ends {HORIZON} days before it" in card
    assert re.search(r"\| agama \| 0\.\d+ \|", card)
    assert re.search(r"\| jenis_kelamin \| 0\.\d+ \|", card)
    assert "wilayah (excluded by the use case)" in card
    for file in (home / "mlartifacts").rglob("*"):
        if file.is_file():
            assert not re.search(rb"S\d{6}|Name \d", file.read_bytes()), file.name


def test_the_training_set_is_kept_under_the_versions_snapshot(first_build, campus):
    _, row = first_build
    kept = lake.read_table(f"training_{NAME}", snapshot=row["training_snapshot_id"])
    assert kept.num_rows == row["rows"]
    assert 0 < sum(kept["label"].to_pylist()) < row["rows"]
    assert not {"jenis_kelamin", "agama", "wilayah"} & set(kept.column_names)
    frame = kept.select(["nim", "cutoff", "side"]).to_pandas()
    learn, judge = frame[frame.side == "training"], frame[frame.side == "validation"]
    assert learn.cutoff.max() + timedelta(days=HORIZON) <= judge.cutoff.min()
    assert not set(learn.nim) & set(judge.nim)
    assert frame.cutoff.max() + timedelta(days=HORIZON) <= AS_OF
    snapshot = next(
        s for s in lake.history(f"training_{NAME}") if s.id == row["training_snapshot_id"]
    )
    assert snapshot.summary["run-id"] == "run-1"
    _, joined = training_set(campus)
    assert kept["active_days_30d"].to_pylist() == joined["active_days_30d"].to_pylist()


@pytest.mark.usefixtures("first_build")
def test_the_champion_answers_and_its_explanations_add_up(campus):
    champion = registry.champion(NAME)
    _, joined = training_set(campus)
    rows = model_input.frame(joined.slice(0, 500), champion.features)
    probabilities = champion.pipeline.predict_proba(rows)[:, 1]
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    shares = explain.contributions(champion, rows)
    assert shares.shape == (500, len(champion.features))
    inner = estimators.fitted(champion.pipeline)
    base = inner.decision_function(rows) - shares.sum(axis=1)
    np.testing.assert_allclose(base, base[0], atol=1e-6)
    order = np.argsort(inner.decision_function(rows))
    assert (np.diff(probabilities[order]) >= -1e-12).all(), "calibration is not monotone"
    assert np.abs(shares).sum(axis=0).argmax() == champion.features.index("active_days_30d")


@pytest.mark.usefixtures("home")
def test_a_build_run_again_trains_nothing(campus):
    first = train(campus, retrain={"policy": "always", "max_age_days": 90})
    again = train(campus, retrain={"policy": "always", "max_age_days": 90}, run_id="run-2")
    assert first["trained_version"] == "1"
    assert again["trained_version"] is None
    assert again["decision"].startswith("already trained as version 1")
    kept = train(campus)
    assert kept["decision"] == "kept champion: 0 days old"
    assert len(registry.list_versions(NAME)) == 1


def test_the_same_rows_give_the_same_model(campus):
    case = tasks.of(use_case(campus))
    rows, joined = training_set(campus)
    kinds = {
        name: "category" if name == "jalur_masuk" else "number"
        for name in joined.column_names
        if name not in ("nim", "cutoff", "nama")
    }
    frame = model_input.frame(joined, list(kinds))
    one, two = (case.fit(frame, np.arange(len(rows)), rows, kinds) for _ in range(2))
    assert one.selection == two.selection
    assert one.parameters == two.parameters
    np.testing.assert_array_equal(
        calibrated.probabilities(one.model, frame[list(one.selection.features)]),
        calibrated.probabilities(two.model, frame[list(two.selection.features)]),
    )


def test_what_comes_after_a_cutoff_changes_no_training_row():
    """Metamorphic: rows that the lake came to know later, about any time, are not believed at a
    cutoff.
    """
    as_of = datetime(2020, 9, 1)
    before = university(students=60, weeks=60, seed=5)
    _, expected = training_set(before, as_of)
    last = as_of - timedelta(days=HORIZON)
    before.connection.execute(
        f"""
        delete from academic where valid_from > timestamp '{last}';
        update engagement set active_days_30d = 99, submitted_share = 0
            where valid_from > timestamp '{last}';
        insert into academic by name  -- a correction of the past, known only later
            select * replace (
                0.0 as gpa_cumulative, timestamp '{last}' + interval 1 second as system_from
            )
            from academic;
        """
    )
    _, found = training_set(before, as_of)
    assert expected.num_rows > 200
    assert found.equals(expected)
    before.connection.execute("update academic set gpa_cumulative = -1")  # the test can fail
    assert not training_set(before, as_of)[1].equals(expected)


def test_a_later_build_learns_from_a_superset():
    campus = university(students=60, weeks=60, seed=5)
    _, early = training_set(campus, datetime(2020, 9, 1))
    _, late = training_set(campus, datetime(2020, 12, 1))
    names = early.column_names
    kept = late.filter(np.asarray(late["cutoff"]) <= np.asarray(early["cutoff"]).max())
    assert kept.select(names).equals(early)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("as_of", "said"),
    [
        (datetime(2020, 1, 20), "not trained: no label has matured"),
        (datetime(2020, 4, 1), "not trained: no validation start leaves 5 entities of each class"),
    ],
)
def test_too_little_matured_data_is_a_decision(campus, as_of, said):
    row = train(campus, as_of)
    assert row["decision"].startswith(said)
    assert row["trained_version"] is row["champion_version"] is None
    assert registry.list_versions() == []


@pytest.mark.usefixtures("home")
def test_policies_ages_and_challengers(campus):
    """One history: never, first champion, kept, too old and not better, not tried again, by
    hand.
    """
    never = train(campus, datetime(2020, 9, 1), retrain={"policy": "never", "max_age_days": 90})
    assert never["decision"].startswith("not trained: there is no champion")

    first = train(campus, datetime(2020, 9, 1))
    assert first["decision"].startswith("promoted")
    kept = train(campus, datetime(2020, 11, 20), run_id="run-2")
    assert kept["decision"] == "kept champion: 80 days old"

    margin = {**META["promotion"], "margin": 0.5}  # out of reach: at most 1 beats at most 0.66
    old = train(campus, datetime(2020, 12, 15), run_id="run-3", promotion=margin)
    assert old["decision"].startswith("challenger: roc_auc")
    assert "does not beat the champion's" in old["decision"]
    assert old["champion_score"] is not None
    assert (old["champion_version"], old["trained_version"]) == ("1", "2")

    tried = train(campus, datetime(2020, 12, 16), run_id="run-4", promotion=margin)
    assert tried["decision"] == "kept champion: 106 days old, but tried again 1 days ago"
    registry.promote(NAME, "2", "judged by hand")
    assert train(campus, datetime(2020, 12, 17))["champion_version"] == "2"

    past = train(campus, datetime(2020, 10, 1), retrain={"policy": "always", "max_age_days": 90})
    assert "later than this build" in past["decision"]
    assert [v.version for v in registry.list_versions(NAME)] == ["2", "1"]


@pytest.mark.usefixtures("home")
def test_a_model_that_misses_its_minimum_is_no_champion(campus):
    row = train(campus, promotion={**META["promotion"], "minimum": 1.1})
    assert row["decision"].startswith("challenger: roc_auc")
    assert "misses the minimum 1.1" in row["decision"]
    assert row["champion_version"] is None
    assert registry.champion(NAME) is None


@pytest.mark.usefixtures("home")
def test_a_killed_training_leaves_nothing_that_could_be_loaded(campus, monkeypatch):
    client = type(registry._client())

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(client, "create_model_version", die)
        with pytest.raises(KeyboardInterrupt):
            train(campus)
    assert registry.list_versions() == []
    with monkeypatch.context() as killed:
        killed.setattr(registry, "_settle", die)
        with pytest.raises(KeyboardInterrupt):
            train(campus)
    assert registry.champion_version(NAME) is None
    row = train(campus, run_id="run-2")
    assert row["champion_version"] == "1"
    assert len(registry.list_versions(NAME)) == 1


def test_the_sample_keeps_whole_entities_and_the_bound(campus):
    rows, _ = training_set(campus, max_rows=2000)
    everything, _ = training_set(campus)
    assert rows.sampled
    assert not everything.sampled
    assert 1500 < len(rows) <= 2000
    for entity in np.unique(rows.entities):
        assert (rows.entities == entity).sum() == (everything.entities == entity).sum()


@pytest.mark.usefixtures("home")
def test_a_linear_model_trains_and_its_explanations_are_shap(campus):
    import shap

    row = train(
        campus,
        estimator="sklearn.linear_model.LogisticRegression",
        grid={"C": [0.1, 1.0]},
    )
    assert row["decision"].startswith("promoted")
    champion = registry.champion(NAME)
    assert "jalur_masuk" in champion.categorical
    _, joined = training_set(campus)
    rows = model_input.frame(joined.slice(0, 200), champion.features)
    shares = explain.contributions(champion, rows)
    inner = estimators.fitted(champion.pipeline)
    np.testing.assert_allclose(
        shares.sum(axis=1) + inner["estimator"].intercept_[0], inner.decision_function(rows)
    )
    values = inner["columns"].transform(rows)
    library = shap.LinearExplainer(inner["estimator"], np.zeros((1, values.shape[1])))
    np.testing.assert_allclose(library.shap_values(values).sum(axis=1), shares.sum(axis=1))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"estimator": "os.system"}, "not allowed"),
        ({"estimator": "sklearn.linear_model.Ridge", "grid": {}}, "no probabilities"),
        ({"estimator": "sklearn.linear_model.Nothing", "grid": {}}, "No scikit-learn estimator"),
        ({"grid": {"depth": [1]}}, r"no parameters \['depth'\]"),
        ({"mandatory": ["gpa_final"]}, "gpa_final .in none of the feature tables"),
        ({"task": "regression"}, "task is 'regression'"),
        ({"retrain": {"policy": "sometimes", "max_age_days": 1}}, "policy is 'sometimes'"),
        ({"promotion": {**META["promotion"], "metric": "accuracy"}}, "metric is 'accuracy'"),
        ({"promotion": {"metric": "roc_auc", "margin": 0.01}}, "numbers for max_milliseconds"),
        ({"promotion": {"minimum": 0.5}}, "promotion needs a metric"),
        ({"promotion": {**META["promotion"], "minimum": True}}, "minimum is True"),
        ({"promotion": {**META["promotion"], "margin": -0.1}}, "margin must not be negative"),
        ({"retrain": {"policy": "auto", "max_age_days": -1}}, "max_age_days must not be negative"),
        ({"horizon_days": 0}, "horizon_days is 0; it must be a whole number from 1 up"),
        ({"horizon_days": -30}, "horizon_days is -30"),
        ({"horizon_days": "60"}, "horizon_days is '60'"),
        ({"max_rows": 0}, "max_rows is 0"),
        ({"cv_folds": 1}, "cv_folds is 1; it must be a whole number from 2 up"),
        ({"cv_folds": 2.5}, "cv_folds is 2.5"),
        ({"max_features": 0}, "max_features is 0"),
        ({"thresholds": {}}, r"label_student_dropout: meta.use_case.thresholds is \{\}"),
        ({"thresholds": [0.0, 0.5]}, r"thresholds is \[0.0, 0.5\]"),
        ({"thresholds": {"High": 0.6, "Low": 0.2}}, "below 0.2 would have no category"),
        ({"thresholds": {"Low": 0.0, "High": "0.6"}}, r"thresholds: \{'High': '0.6'\} should be"),
        ({"thresholds": {"Low": 0.0, "High": True}}, r"thresholds: \{'High': True\} should be"),
        ({"thresholds": {"Low": 0.0, "High": 1.5}}, r"thresholds: \{'High': 1.5\} should be"),
        ({"thresholds": {"Low": -0.1, "High": 0.5}}, r"thresholds: \{'Low': -0.1\} should be"),
        ({"thresholds": {"Low": 0.0, "None": None}}, r"thresholds: \{'None': None\} should be"),
        ({"thresholds": {"Low": 0.0, "Lower": 0.0}}, "the same lower bound"),
    ],
)
def test_what_a_use_case_gets_wrong_is_said(campus, changes, said):
    with pytest.raises(InsighteraError, match=said):
        train(campus, **changes)
    assert registry.list_versions() == []


@pytest.mark.usefixtures("home")
def test_a_label_given_before_its_horizon_passed_is_refused(campus):
    spine = campus.connection.sql("select nim, cutoff, 0 as label from weeks")
    with pytest.raises(InsighteraError, match="horizon of 60 days ends after as_of"):
        policy.train(
            NAME,
            build=campus.build(AS_OF),
            spine=spine,
            features=campus.features(),
            connection=campus.connection,
        )


MATURE, EARLY = "select nim, cutoff", "from weeks where cutoff < '2020-06-01'"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select nim, cutoff from weeks", "lacks the columns"),
        (
            f"{MATURE}, 2 as label {EARLY}",
            "label_student_dropout.sql: `label` must be 0, 1 or NULL",
        ),
        (
            f"{MATURE}, case when nim = 'S000001' then 0.11 else 0.0 end as label {EARLY}",
            "0, 1 or NULL",
        ),
        (f"{MATURE}, 0.999999::double as label {EARLY}", "0, 1 or NULL"),
        (f"{MATURE}, 'NaN'::double as label {EARLY}", "0, 1 or NULL"),
        (f"{MATURE}, 'yes' as label {EARLY}", "0, 1 or NULL"),
    ],
)
def test_a_spine_that_is_none_is_said_so(campus, query, said):
    with pytest.raises(InsighteraError, match=said):
        policy.train(
            NAME,
            build=campus.build(AS_OF),
            spine=campus.connection.sql(query),
            features=campus.features(),
            connection=campus.connection,
        )


def test_frames_read_every_type_alike():
    table = duckdb.sql(
        """
        select * from (values
            (1, true, 1.5::decimal(4, 1), 'a', null),
            (null, null, null, null, null)
        ) as t (count, flag, amount, word, nothing)
        """
    ).to_arrow_table()
    frame = model_input.frame(table, ["flag", "count", "amount", "word", "nothing"])
    assert frame.iloc[0, :4].tolist() == [1.0, 1.0, 1.5, "a"]
    assert frame.iloc[1].isna().all()
    assert frame.dtypes.astype(str).tolist() == ["float64"] * 3 + ["object", "float64"]
    with pytest.raises(InsighteraError, match="lack the feature columns"):
        model_input.frame(table, ["missing"])


def test_the_digest_is_of_what_the_model_reads():
    rows = {
        "zero": (0.0, "a"),
        "minus zero": (-0.0, "a"),
        "other word": (0.0, "b"),
        "no word": (0.0, None),
        "words": (0.0, "None"),
        "none": (None, "a"),
        "not a number": (float("nan"), "a"),
        "the next number": (5e-324, "a"),
    }
    table = pa.table(dict(zip(("number", "word"), zip(*rows.values(), strict=True), strict=True)))
    whole = model_input.digest(table, ["number", "word"])
    found = dict(zip(rows, whole.to_pylist(), strict=True))
    assert found["zero"] == found["minus zero"]
    assert found["none"] == found["not a number"]
    assert len(set(found.values())) == len(rows) - 2
    # alone as in company, and whatever the type of the column
    for number, text in enumerate(found.values()):
        alone = table.slice(number, 1)
        assert model_input.digest(alone, ["number", "word"]).to_pylist() == [text]
    as_int = pa.table({"number": pa.array([0], pa.int32()), "word": ["a"]})
    assert model_input.digest(as_int, ["number", "word"]).to_pylist() == [found["zero"]]
    # which column holds a value counts, and where one ends
    parts = pa.table({"one": ["a|b", "a", "~", None], "two": ["c", "b|c", "~", None]})
    assert len(set(model_input.digest(parts, ["one", "two"]).to_pylist())) == 4
    turned = pa.table({"one": [1.0, 2.0], "two": [2.0, 1.0]})
    assert len(set(model_input.digest(turned, ["one", "two"]).to_pylist())) == 2


def test_unseen_categories_and_missing_values_are_answered():
    import pandas as pd

    frame = pd.DataFrame(
        {
            "number": [0.0, 1.0, None, 3.0] * 25,
            "word": pd.Series(["a", "b", None, "a"] * 25, dtype=object),
            "empty": np.nan,
            "silent": pd.Series([None] * 100, dtype=object),
        }
    )
    labels = np.array([0, 1, 0, 1] * 25)
    new = pd.DataFrame({"number": [None], "word": ["never seen"], "empty": [1.0], "silent": ["x"]})
    kinds = {"number": "number", "word": "category", "empty": "number", "silent": "category"}
    for path in (
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.linear_model.LogisticRegression",
    ):
        model = estimators.pipeline(path, kinds, {})
        with estimators.one_thread():
            model.fit(frame, labels)
            assert 0 <= model.predict_proba(new)[0, 1] <= 1
        shares = explain.contributions(model, new)
        assert shares.shape == (1, 4)
        assert shares[0, 2] == 0, "a column that was empty in training says nothing"
        assert explain.contributions(model, new.iloc[:0]).shape == (0, 4)


def test_defaults_do_not_override_the_grid():
    made = estimators.estimator("sklearn.ensemble.HistGradientBoostingClassifier", max_iter=7)
    assert isinstance(made, HistGradientBoostingClassifier)
    assert (made.max_iter, made.early_stopping, made.random_state) == (7, False, estimators.SEED)
