"""The registry: versions, aliases, promotion, and files that are not what was registered."""

import re
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV

from ml.core.errors import InsighteraError
from ml.registry import versions as registry
from ml.tasks import estimators

NAME = "student_dropout"
AS_OF = datetime(2021, 3, 1)
PROMOTION = {"metric": "roc_auc", "minimum": 0.6, "margin": 0.01, "max_milliseconds": 50}


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"gpa": rng.normal(size=300), "path": pd.Series(rng.choice(["a", "b"], 300), dtype=object)}
    )
    labels = (frame["gpa"] + (frame["path"] == "a") + rng.normal(size=300) > 0).astype(int)
    made = estimators.pipeline(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        {"gpa": "number", "path": "category"},
        {"max_iter": 10},
    )
    return CalibratedClassifierCV(made, cv=2, ensemble=False).fit(frame, labels), frame


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A new MLflow store, made once: creating it takes seconds."""
    home = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSIGHTERA_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registry._client().search_registered_models()
    return home / "mlflow.db"


@pytest.fixture
def home(tmp_path, monkeypatch, empty_store):
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path / "home"))
    for variable in ("MLFLOW_TRACKING_URI", "INSIGHTERA_ARTIFACTS"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "home").mkdir()
    shutil.copy(empty_store, tmp_path / "home" / "mlflow.db")
    return tmp_path / "home"


def said_of(row):
    """What a model says of a row, as its task would."""
    return lambda model: {"probability": model.predict_proba(row)[:, 1]}


def add(model, tmp_path: Path, *, promote: bool = True, as_of: datetime = AS_OF) -> str:
    fitted, frame = model
    folder = tmp_path / f"draft-{len(list(tmp_path.iterdir()))}"
    files = tmp_path / f"{folder.name}-files"
    files.mkdir()
    (files / "model_card.md").write_text("# Card")
    return registry.register(
        NAME,
        registry.draft(folder, fitted, said_of(frame.iloc[[0]])),
        verdict=registry.Verdict(promote, "because"),
        as_of=as_of,
        features=("gpa", "path"),
        categorical=("path",),
        metrics={"roc_auc": 0.8},
        parameters={"max_iter": 10},
        artifacts=files,
        tags={"git_commit": "abc", "dbt_invocation_id": "run-1", "training_snapshot_id": "42"},
    )


@pytest.mark.parametrize(
    ("score", "champion", "milliseconds", "promote", "said"),
    [
        (0.59, None, 1, False, "misses the minimum 0.6"),
        (0.60, None, 1, True, "0.6000"),
        (0.80, 0.79, 1, True, "the champion 0.7900"),
        (0.80, 0.7921, 1, False, "does not beat the champion's 0.7921 by 1.0%"),
        (0.80, 0.80, 1, False, "does not beat"),
        (0.80, None, 51, False, "more than 50"),
        (0.10, 0.90, 51, False, "minimum.*does not beat.*more than"),
    ],
)
def test_the_rule(score, champion, milliseconds, promote, said):
    ruling = registry.verdict(PROMOTION, score, champion, milliseconds, greater_is_better=True)
    assert ruling.promote is promote
    assert re.search(said, ruling.reason)


@pytest.mark.parametrize(
    ("score", "champion", "promote"),
    [(0.10, 0.11, True), (0.10, 0.10, False), (0.10, 0.1005, False), (0.25, 0.9, False)],
)
def test_the_rule_for_a_measure_of_which_less_is_better(score, champion, promote):
    rule = {**PROMOTION, "metric": "brier", "minimum": 0.2}
    assert registry.verdict(rule, score, champion, 1, greater_is_better=False).promote is promote


def test_nothing_is_there_before_the_first_version(tmp_path, monkeypatch):
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert registry.champion(NAME) is None
    assert registry.champion_version(NAME) is None
    assert registry.list_versions() == []
    assert not (tmp_path / "none").exists(), "asking made a store"
    with pytest.raises(InsighteraError, match="No version 1 of model student_dropout"):
        registry.promote(NAME, "1", "test")


def test_a_champion_comes_back_as_it_was(home, tmp_path, model):
    version = add(model, tmp_path)
    champion = registry.champion(NAME)
    fitted, frame = model
    assert champion.version == registry.champion_version(NAME) == version == "1"
    assert champion.features == ("gpa", "path")
    assert champion.categorical == ("path",)
    assert champion.metrics == {"roc_auc": 0.8}
    assert champion.as_of == AS_OF
    np.testing.assert_array_equal(
        champion.pipeline.predict_proba(frame), fitted.predict_proba(frame)
    )
    held = registry.list_versions(NAME)[0]
    assert held.aliases == ("champion",)
    assert held.tags["git_commit"] == "abc"
    assert held.tags["training_snapshot_id"] == "42"
    assert list((home / "mlartifacts").rglob("model_card.md"))


@pytest.mark.usefixtures("home")
def test_a_challenger_leaves_the_champion_and_a_person_may_promote_it(tmp_path, model):
    add(model, tmp_path)
    second = add(model, tmp_path, promote=False)
    assert registry.champion_version(NAME) == "1"
    assert [entry.aliases for entry in registry.list_versions()] == [("challenger",), ("champion",)]
    registry.promote(NAME, second, "the dean's office compared both for a term")
    newest, oldest = registry.list_versions(NAME)
    assert newest.aliases == ("champion",)
    assert oldest.aliases == ()
    assert newest.tags["promotion_reason"] == "the dean's office compared both for a term"
    registry.promote(NAME, "1", "back: complaints")
    assert registry.champion_version(NAME) == "1"


@pytest.mark.usefixtures("home")
def test_a_promotion_needs_a_reason_and_a_version(tmp_path, model):
    add(model, tmp_path)
    with pytest.raises(InsighteraError, match="reason"):
        registry.promote(NAME, "1", "  ")
    with pytest.raises(InsighteraError, match=r"No version 7 .*Versions: 1"):
        registry.promote(NAME, "7", "test")


def test_an_altered_model_file_is_never_unpickled(home, tmp_path, model):
    add(model, tmp_path)
    marker = tmp_path / "was-run"
    evil = f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()
    (file,) = (home / "mlartifacts").rglob("model.pkl")
    file.write_bytes(evil)
    with pytest.raises(InsighteraError, match=r"SHA-256.*differs"):
        registry.champion(NAME)
    with pytest.raises(InsighteraError, match="SHA-256"):
        registry.promote(NAME, "1", "test")
    assert not marker.exists()


def test_a_lost_model_file_is_said_so(home, tmp_path, model):
    add(model, tmp_path)
    (file,) = (home / "mlartifacts").rglob("model.pkl")
    file.unlink()
    with pytest.raises(InsighteraError, match="cannot be read"):
        registry.champion(NAME)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("promote", "champion"), [(True, "2"), (False, "1")])
def test_a_registration_killed_before_its_alias_is_completed(
    tmp_path, model, monkeypatch, promote, champion
):
    add(model, tmp_path)
    with monkeypatch.context() as killed:

        def die(*_):
            raise KeyboardInterrupt

        killed.setattr(registry, "_settle", die)
        with pytest.raises(KeyboardInterrupt):
            add(model, tmp_path, promote=promote)
    assert registry.champion_version(NAME) == "1"
    registry.settle(NAME)
    assert registry.champion_version(NAME) == champion
    assert registry.list_versions(NAME)[0].aliases == (
        ("champion",) if promote else ("challenger",)
    )
    registry.promote(NAME, "1", "test")
    registry.settle(NAME)
    assert registry.champion_version(NAME) == "1", "a settled version took over again"


def test_no_version_has_a_half_set_of_tags(home, tmp_path, model):
    """Tags come with the version, in one transaction: nothing to read between the two."""
    add(model, tmp_path)
    with sqlite3.connect(home / "mlflow.db") as store:
        keys = {row[0] for row in store.execute("select key from model_version_tags")}
    assert {"as_of", "features", "categorical", "metrics", "model_sha256", "alias"} <= keys


def test_asking_again_takes_no_mlflow(home, tmp_path, model):
    """Neither who is champion nor the model itself, in a process that begins anew."""
    add(model, tmp_path)
    asked = registry.list_versions()
    assert (home / "registry_answer.json").exists()
    code = (
        "import sys; from ml import registry;"
        f"held = registry.champion({NAME!r});"
        "assert held.pipeline.predict_proba is not None;"
        "print(registry.list_versions(), 'mlflow' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == f"{asked} False"


def test_what_mlflow_said_holds_until_the_store_changes(home, tmp_path, model):
    add(model, tmp_path)
    assert registry.champion_version(NAME) == "1"
    registry._client().delete_registered_model_alias(NAME, "champion")
    assert registry.champion_version(NAME) is None
    (home / "registry_answer.json").write_text("{}")
    assert [entry.version for entry in registry.list_versions(NAME)] == ["1"]


@pytest.mark.usefixtures("home")
def test_a_version_registered_by_someone_else_is_said_so(tmp_path, model):
    add(model, tmp_path)
    client = registry._client()
    run = client.create_run(registry._experiment(client))
    client.create_model_version(NAME, f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    with pytest.raises(InsighteraError, match="not registered by INSIGHTERA"):
        registry.list_versions(NAME)
