"""What follows from a label's YAML: written, checked, removed."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import PROJECT

from ml.cli import use_case_files
from ml.cli.use_case_columns import TRAINED, columns_of
from ml.core.errors import InsighteraError
from ml.training import DECISION


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what dbt reads."""
    for folder in ("models", "python_models", "macros"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture
def second(project: Path) -> Callable[..., Path]:
    """Declares a use case `second` like that of dropout, with other fields; its YAML."""

    def declare(**changes: Any) -> Path:
        labels = project / "models" / "labels"
        content = yaml.safe_load((labels / "label_student_dropout.yml").read_text())
        model = content["models"][0]
        model["name"] = "label_second"
        model["config"]["meta"]["use_case"] |= {"output_table": "second_chance", **changes}
        path = labels / "label_second.yml"
        path.write_text(yaml.safe_dump({"models": [model]}))
        return path

    return declare


def audit(name: str, **meta: Any) -> Mapping[str, list]:
    """Test name -> the arguments of each of it, columns' tests and those of rows alike."""
    fields = {"entity_keys": ["kode"], "attributes": [], "outcome": "size", **meta}
    columns, rows, _ = columns_of(name, fields, {}, {})
    found: dict[str, list] = {}
    for test in [*(test for column in columns for test in column.tests), *rows]:
        kind, said = (test, {}) if isinstance(test, str) else next(iter(test.items()))
        found.setdefault(kind, []).append(said.get("arguments", {}))
    return found


def test_the_project_is_as_its_labels_ask() -> None:
    assert use_case_files.differences(PROJECT) == []


def test_a_second_use_case_costs_five_nodes_and_goes_without_a_trace(
    project: Path, second: Callable[..., Path]
) -> None:
    before = use_case_files.written(project)
    label = second()
    changed = use_case_files.sync(project)
    nodes = {Path(path).stem for path in changed if path not in before}
    assert len(nodes) == 5
    for name in ("trained_versions", "published_receipts", "monitor_prediction_history"):
        text = next(project.rglob(f"{name}.py")).read_text()
        assert "second" in text
        assert "student_dropout" in text
    assert use_case_files.differences(project) == []
    label.unlink()
    assert set(use_case_files.differences(project)) == set(changed)
    use_case_files.sync(project)
    assert use_case_files.written(project) == before
    assert not list(project.rglob("*second*"))


def test_what_is_written_by_hand_is_left_alone(project: Path, second: Callable[..., Path]) -> None:
    second()
    own = project / "python_models/training/train_second.py"
    own.write_text("def model(dbt, session): ...\n")
    with pytest.raises(InsighteraError, match=r"Written by hand.*train_second\.py"):
        use_case_files.sync(project)
    assert own.read_text() == "def model(dbt, session): ...\n"
    assert len(list(project.rglob("*second*"))) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "guess"}, "label_second.yml: meta.use_case.task is 'guess'"),
        ({"features": ["features_none"]}, "features: there is no model features_none"),
        ({"features": []}, "features is \\[\\]"),
        ({"attributes_from": "dim_none"}, "attributes_from: there is no model dim_none"),
        ({"attributes": ["shoe_size"]}, "dim_mahasiswa_current has no column shoe_size"),
        ({"output_table": "student_dropout_risk"}, "output_table student_dropout_risk is that of"),
        ({"outcome": "Drop Out"}, "outcome is 'Drop Out'"),
        ({"task": "anomaly"}, "misses severities, flagged_share"),
    ],
)
def test_a_mistake_is_named_with_file_and_field(
    project: Path, second: Callable[..., Path], changes: Mapping[str, Any], message: str
) -> None:
    second(**changes)
    with pytest.raises(InsighteraError, match=message):
        use_case_files.sync(project)


def test_training_describes_every_column() -> None:
    assert list(TRAINED) == DECISION.names


def test_a_forecast_is_audited_as_one() -> None:
    found = audit("sizes", task="forecast", non_negative=True)
    conditions = [test["condition"] for test in found["none_where"]]
    assert "size_lower > forecasted_size or forecasted_size > size_upper" in conditions
    assert "interval_level <= 0 or interval_level >= 1" in conditions
    assert "size_lower < 0" in conditions
    assert found["primary_key"] == [{"columns": ["kode", "target_period"]}]
    known = found["never_null"][0]["columns"]
    assert {"target_period", "horizon", "forecasted_size", "size_lower", "size_upper"} <= set(known)


def test_ranked_pairs_are_audited_as_such() -> None:
    found = audit(
        "together", task="classification", entity_keys=["a", "b"], top_k=5, thresholds={"Low": 0}
    )
    assert {"minimum": 1, "maximum": 5} in found["in_range"]
    assert found["primary_key"] == [{"columns": ["a", "b"]}, {"columns": ["a", "rank"]}]


def test_each_side_has_its_attributes_and_is_joined_by_its_keys(
    project: Path, second: Callable[..., Path]
) -> None:
    second(
        entity_keys=["nim_a", "nim_b"], join_key_map={"a": {"nim": "nim_a"}, "b": {"nim": "nim_b"}}
    )
    written = use_case_files.written(project)
    (model,) = yaml.safe_load(written["python_models/publishing/published_second_chance.yml"])[
        "models"
    ]
    names = [column["name"] for column in model["columns"]]
    assert names[:4] == ["nim_a", "nim_b", "a__nama_mahasiswa", "a__prodi_nama"]
    assert "b__prodi_nama" in names


def test_an_anomaly_is_audited_as_one() -> None:
    severities = {"Low": 0, "High": 99, "Medium": 90}
    found = audit("odd", task="anomaly", severities=severities, flagged_share=0.02)
    assert [(each["most"], each["condition"]) for each in found["flagged_at_most"]] == [
        (0.02, "is_anomaly")
    ]
    assert {"values": ["Low", "Medium", "High"]} in found["accepted_values"]
    assert {"minimum": 0, "maximum": 100} in found["in_range"]
    assert "unique" in found
    assert [test["condition"] for test in found["none_where"]] == [
        "is_anomaly <> (severity is not null)"
    ]
