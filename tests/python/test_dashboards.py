"""The dashboards' YAML against the project, the serving file's versions, and what is said before
Superset starts. (test_dashboards_served.py looks at them in a browser.)
"""

import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import yaml
from conftest import PROJECT

from ml.cli import dashboard_files, dashboard_server
from ml.core.errors import InsighteraError

sys.path.insert(0, str(PROJECT / "superset"))
import serving_file

pytestmark = pytest.mark.xdist_group("manifest")

CHART = "charts/dropout_risk_by_prodi.yaml"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The dashboards, to be broken."""
    return Path(shutil.copytree(PROJECT / "superset", tmp_path / "superset"))


def change(path: Path, edit: Callable[[dict], object]) -> None:
    content = yaml.safe_load(path.read_text())
    edit(content)
    path.write_text(yaml.safe_dump(content))


@pytest.mark.slow
def test_dashboards_agree_with_the_project(manifest: Path) -> None:
    files, problems = dashboard_files.check(manifest=manifest)
    assert problems == []
    assert files > 20


@pytest.mark.parametrize("board", sorted((PROJECT / "superset/dashboards").glob("*.yaml")))
def test_every_dashboard_says_of_which_day_it_is(board: Path) -> None:
    """In its first row of charts, from a report that no filter empties."""
    as_of = yaml.safe_load((PROJECT / "superset/charts/as_of.yaml").read_text())
    status = PROJECT / "superset/datasets/INSIGHTERA/report_model_status.yaml"
    assert as_of["dataset_uuid"] == yaml.safe_load(status.read_text())["uuid"]
    position = yaml.safe_load(board.read_text())["position"]
    rows = [position[row]["children"] for row in position["GRID_ID"]["children"]]
    first = next(row for row in rows if any(position[place]["type"] == "CHART" for place in row))
    assert as_of["uuid"] in {position[place]["meta"].get("uuid") for place in first}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "edit", "expected"),
    [
        (CHART, lambda c: c["params"].update(x_axis="prodi"), "has no column prodi"),
        (
            CHART,
            lambda c: c["params"]["metrics"][0]["column"].update(column_name="risk"),
            "has no column risk",
        ),
        (
            CHART,
            lambda c: c["params"].update(
                metrics=[{"expressionType": "SQL", "sqlExpression": "sum(risk_score)"}]
            ),
            "SQL of its own",
        ),
        (CHART, lambda c: c["params"].update(metrics=["count"]), "SQL of its own"),
        (
            CHART,
            lambda c: c["params"].update(
                adhoc_filters=[
                    {"expressionType": "SIMPLE", "subject": "nothing", "operator": "IS NULL"}
                ]
            ),
            "has no column nothing",
        ),
        (CHART, lambda c: c.update(dataset_uuid="none"), "no file in datasets/"),
        (
            "charts/dropout_risk_students_to_see.yaml",
            lambda c: c["params"]["order_by_cols"].append('["gone", true]'),
            "has no column gone",
        ),
        (
            "datasets/INSIGHTERA/report_enrolment.yaml",
            lambda c: c["columns"].append({"column_name": "agama"}),
            "column agama is a protected attribute",
        ),
        (
            "datasets/INSIGHTERA/report_enrolment.yaml",
            lambda c: c.update(table_name="dim_mahasiswa_current"),
            "not in serve_reports.py",
        ),
        (
            "datasets/INSIGHTERA/report_enrolment.yaml",
            lambda c: c.update(sql="select 1"),
            "SQL of its own",
        ),
        (
            "dashboards/dropout_risk.yaml",
            lambda c: c["metadata"]["native_filter_configuration"][0]["targets"][0].update(
                column={"name": "faculty"}
            ),
            "has no column faculty",
        ),
        (
            "dashboards/model_health.yaml",
            lambda c: c["position"]["CHART-as_of"]["meta"].update(
                uuid=yaml.safe_load((PROJECT / "superset" / CHART).read_text())["uuid"]
            ),
            f"filter Use case does not reach {CHART}",
        ),
        (
            "charts/health_drift.yaml",
            lambda c: c["params"]["metrics"][0].update(aggregate="AVG"),
            "averages over use_case",
        ),
        (
            "dashboards/model_health.yaml",
            lambda c: c["metadata"]["native_filter_configuration"][0].pop("requiredFirst"),
            "filter Use case has a first value that is not applied",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_file(
    copied: Path, manifest: Path, file: str, edit: Callable[[dict], object], expected: str
) -> None:
    change(copied / file, edit)
    problems = dashboard_files.check(copied, manifest)[1]
    assert [p for p in problems if p.startswith(f"{file}: ") and expected in p], problems


@pytest.mark.slow
def test_renamed_model_column_is_named_with_the_dataset(manifest: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "manifest.json"
    content = json.loads(manifest.read_text())
    columns = content["nodes"]["model.insightera.report_enrolment"]["columns"]
    columns["students"] = columns.pop("student_count")
    renamed.write_text(json.dumps(content))
    problems = dashboard_files.check(manifest=renamed)[1]
    assert problems == [
        "datasets/INSIGHTERA/report_enrolment.yaml: model report_enrolment has no column student_count"
    ]


@pytest.mark.slow
def test_exposures_and_dashboards_name_one_another(copied: Path, manifest: Path) -> None:
    (copied / "dashboards/dropout_risk.yaml").rename(copied / "dashboards/risk_of_dropout.yaml")
    problems = dashboard_files.check(copied, manifest)[1]
    assert (
        "models/reporting/_exposures.yml: exposure dropout_risk names no dashboard: superset/dashboards/dropout_risk.yaml does not exist"
        in problems
    )
    assert "dashboards/risk_of_dropout.yaml: no exposure is named risk_of_dropout" in problems


def serve(home: Path, number: int) -> None:
    """A new serving file, put in place as a build does."""
    beside = home / f"new.{number}"
    with duckdb.connect(str(beside)) as connection:
        connection.execute(f"create table t as select {number} as number")
    beside.replace(home / "serving.duckdb")


def test_next_query_sees_a_new_file_while_an_old_one_is_open(tmp_path: Path) -> None:
    """By its own name DuckDB would hand out what this process has open already."""
    serve(tmp_path, 1)
    own_name = str(tmp_path / "serving.duckdb")
    with duckdb.connect(own_name, read_only=True) as held:
        first = duckdb.connect(str(serving_file.current(tmp_path)), read_only=True)
        serve(tmp_path, 2)
        with duckdb.connect(own_name, read_only=True) as again:
            assert again.sql("from t").fetchall() == [(1,)]  # why serving_file exists
        with duckdb.connect(str(serving_file.current(tmp_path)), read_only=True) as second:
            assert second.sql("from t").fetchall() == [(2,)]
        assert first.sql("from t").fetchall() == held.sql("from t").fetchall() == [(1,)]
        first.close()


def test_versions_follow_one_another_under_many_readers(tmp_path: Path) -> None:
    serve(tmp_path, 0)
    latest, failures, seen = [0], [], set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            before = latest[0]
            try:
                with duckdb.connect(str(serving_file.current(tmp_path)), read_only=True) as reader:
                    number = reader.sql("from t").fetchall()[0][0]
            except Exception as error:
                failures.append(error)
                return
            seen.add(number)
            if number < before:
                failures.append(AssertionError(f"saw {number} after {before} was published"))

    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
    for number in range(1, 20):
        serve(tmp_path, number)
        latest[0] = number
    while 19 not in seen and not failures and readers[0].is_alive():
        time.sleep(0.01)
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert 19 in seen


def test_superseded_versions_are_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, 1)
    first = serving_file.current(tmp_path)
    serve(tmp_path, 2)
    assert first.exists()
    serving_file.current(tmp_path)
    assert first.exists()  # a thread may be about to open it
    monkeypatch.setattr(serving_file, "KEEP_SECONDS", -1)
    serve(tmp_path, 3)
    last = serving_file.current(tmp_path)
    assert list((tmp_path / "superset" / "open").iterdir()) == [last]


def test_missing_serving_file_is_told_to_who_looks(tmp_path: Path) -> None:
    with pytest.raises(serving_file.NoServingFileError, match="make build"):
        serving_file.current(tmp_path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and an interpreter that stands where Superset's would."""
    for name in ("SUPERSET_SECRET_KEY", "INSIGHTERA_SUPERSET_URI", "INSIGHTERA_RAW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INSIGHTERA_SUPERSET_VENV", sys.prefix)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def prepare(host: str = "127.0.0.1", port: int = 0) -> dashboard_server.Start:
    return dashboard_server.prepare(host, port, workers=1, threads=2)


def test_bad_states_before_the_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InsighteraError, match="No build yet"):
        prepare()
    (home / "warehouse.duckdb").touch()
    with pytest.raises(InsighteraError, match="though there was a build"):
        prepare()
    (home / "serving.duckdb").touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InsighteraError, match=f"Port {port} on 127.0.0.1 is taken"):
            prepare(port=port)
    monkeypatch.setenv("INSIGHTERA_SUPERSET_VENV", str(home / "nowhere"))
    with pytest.raises(InsighteraError, match="make dashboards"):
        prepare()


def test_demo_only_on_this_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login is made, and a key kept, for the demo alone."""
    (home / "serving.duckdb").touch()
    demo = prepare()
    assert "--demo" in demo.command
    key = home / "superset" / "secret_key"
    assert demo.environment["SUPERSET_SECRET_KEY"] == key.read_text() != ""
    assert key.stat().st_mode & 0o077 == 0
    assert prepare().environment["SUPERSET_SECRET_KEY"] == key.read_text()
    with pytest.raises(InsighteraError, match="SUPERSET_SECRET_KEY is not set"):
        prepare(host="0.0.0.0")
    monkeypatch.setenv("SUPERSET_SECRET_KEY", "kept elsewhere")
    assert "--demo" not in prepare(host="0.0.0.0").command


def test_wrong_password_of_the_metadata_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "serving.duckdb").touch()
    monkeypatch.setenv("SUPERSET_SECRET_KEY", "kept elsewhere")
    monkeypatch.setenv("INSIGHTERA_SUPERSET_URI", "sqlite:////nowhere/at/all.db")
    with pytest.raises(
        InsighteraError, match=r"the metadata store does not answer.*unable to open"
    ):
        prepare()
