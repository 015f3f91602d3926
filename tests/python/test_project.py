"""The project keeps its own rules: everything described, engines apart, rooms in order."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT

from ml.cli import screen
from ml.core.macros import rendered
from ml.features.store import AUDIT
from ml.raw.files import contract

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("manifest")]


@pytest.fixture(scope="module")
def own(manifest: Path) -> Callable[[str], list[dict]]:
    """What the project itself has of a kind, as the manifest describes it."""
    held = json.loads(manifest.read_text())
    nodes = [*held["nodes"].values(), *held["sources"].values(), *held["macros"].values()]
    ours = [node for node in nodes if node["package_name"] == "insightera"]
    return lambda kind: [node for node in ours if node["resource_type"] == kind]


@pytest.mark.parametrize("kind", ["model", "source", "seed", "snapshot"])
def test_everything_is_described(own: Callable[[str], list[dict]], kind: str) -> None:
    nodes = own(kind)
    assert nodes
    for node in nodes:
        assert node["description"].strip(), node["name"]
        if kind != "snapshot":
            assert node["columns"], node["name"]
        for column in node["columns"].values():
            assert column["description"].strip(), (node["name"], column["name"])


def test_every_feature_has_unit_and_owner(own: Callable[[str], list[dict]]) -> None:
    tables = [n for n in own("model") if n["name"].startswith("features_")]
    assert tables
    for node in tables:
        keys = node["meta"]["feature_table"]["entity_keys"]
        for name in set(node["columns"]) - set(keys):
            assert {"unit", "owner"} <= set(node["columns"][name]["meta"]), (node["name"], name)


def test_dbt_and_the_command_line_read_the_same_labels(manifest: Path) -> None:
    """`this_build` has them from dbt's graph, `insightera predictions` from the files."""
    graph = json.loads(manifest.read_text())
    labelled = rendered("duckdb", "build/labelled_columns", graph=graph).labelled_columns
    found = {**labelled("features_"), **labelled("label_")}
    assert found == screen._labels()
    said = found["features_mahasiswa_attendance_habit"]["record_lag_hours_14d"]
    assert said == {"label": "Longest wait for a record", "unit": "hours"}
    assert found["label_enrolment_forecast"]["horizon"]["label"] == "Semesters ahead"


def test_every_feature_table_is_made_and_tested_by_the_mechanism(
    own: Callable[[str], list[dict]],
) -> None:
    """`feature_table` adds the audit columns and refuses versions that are not whole: whatever lies in
    the room of features is made by it, and its YAML holds the entity's keys and features alone.
    """
    tables = {n["name"]: n for n in own("model") if n["name"].startswith("features_")}
    assert set(tables) == {path.stem for path in PROJECT.glob("models/features/**/*.sql")}
    for name, node in tables.items():
        assert node["config"]["materialized"] == "feature_table", name
        assert node["config"]["contract"]["enforced"], name
        keys = node["meta"]["feature_table"]["entity_keys"]
        assert list(node["columns"])[: len(keys)] == keys, name
        assert not set(AUDIT) & set(node["columns"]), f"{name}: its YAML repeats audit columns"


def test_every_label_looks_only_forward(own: Callable[[str], list[dict]]) -> None:
    """By the generic test of its task, with the use case's own keys and horizon."""
    tests = {
        "classification": "label_spine",
        "forecast": "forecast_spine",
        "anomaly": "anomaly_spine",
    }
    tested = [node for node in own("test") if node.get("test_metadata")]
    spines = {
        (node["attached_node"].rpartition(".")[2], node["test_metadata"]["name"]): node[
            "test_metadata"
        ]["kwargs"]
        for node in tested
        if node["test_metadata"]["name"] in tests.values()
    }
    labels = {n["name"]: n["meta"]["use_case"] for n in own("model") if "use_case" in n["meta"]}
    assert labels
    assert set(spines) == {(name, tests[label["task"]]) for name, label in labels.items()}
    assert set(labels) == {path.stem for path in PROJECT.glob("models/labels/*.sql")}
    horizon = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    for name, use_case in labels.items():
        spine = spines[name, tests[use_case["task"]]]
        assert spine["entity_keys"] == use_case["entity_keys"], name
        if use_case["task"] != "classification":
            continue
        said = str(spine["horizon_days"])
        var = re.search(r"var\('(\w+)'\)", said)
        assert int(horizon[var.group(1)] if var else said) == use_case["horizon_days"], name


def test_every_public_macro_is_described(own: Callable[[str], list[dict]]) -> None:
    for macro in own("macro"):
        path = macro["original_file_path"]
        variant = re.match(r"(duckdb|spark|default)__", macro["name"])
        if path.startswith("macros/") and not variant:
            assert macro["description"].strip(), f"{macro['name']} is not in macros/_macros.yml"


def test_raw_tables_are_those_of_the_contract() -> None:
    text = (PROJECT / "macros/raw/raw_tables.sql").read_text()
    listed = set(re.findall(r"\['(\w+)', '(\w+)'\]", text))
    assert listed == {(table.source, table.name) for table in contract()}


def test_seeds_are_text_in_every_column() -> None:
    """A nim that looks like a number would lose its leading zeros."""
    for table in contract():
        seeds = yaml.safe_load(
            (PROJECT / f"seeds/{table.source}/_{table.source}__seeds.yml").read_text()
        )
        types = next(s for s in seeds["seeds"] if s["name"] == table.name)["config"]["column_types"]
        assert types == {column.name: "varchar" for column in table.columns}


def test_engines_differ_only_in_their_room() -> None:
    models = [*PROJECT.glob("models/**/*.sql"), *PROJECT.glob("python_models/**/*.py")]
    for path in models:
        assert "target.type" not in path.read_text(), path
    for path in PROJECT.glob("macros/**/*.sql"):
        if "engine" not in path.parts and path.name != "feature_table.sql":
            assert not re.search(r"macro (duckdb|spark)__", path.read_text()), path


def test_python_models_are_thin() -> None:
    """One call each; the lines that name parents are as many as there are tables and reports."""
    for path in PROJECT.glob("python_models/**/*.py"):
        lines = [line for line in path.read_text().splitlines() if "dbt.ref(" not in line]
        assert len(lines) <= 25, path


def test_each_library_has_one_door() -> None:
    doors = {"mlflow": "registry/versions.py", "pyiceberg": "lake/iceberg.py"}
    for library, door in doors.items():
        importing = {
            str(path.relative_to(PROJECT / "ml"))
            for path in (PROJECT / "ml").rglob("*.py")
            if re.search(rf"^\s*(import|from) {library}", path.read_text(), re.M)
        }
        assert importing == {door}, library


def test_seeds_stay_small() -> None:
    size = sum(path.stat().st_size for path in (PROJECT / "seeds").rglob("*.csv"))
    assert size < 5_000_000


def test_nothing_names_a_machine() -> None:
    for path in [
        *PROJECT.glob("requirements/*"),
        PROJECT / "Makefile",
        *Path(PROJECT / "docs").glob("*.md"),
    ]:
        text = path.read_text()
        assert str(PROJECT) not in text, path
