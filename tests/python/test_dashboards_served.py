"""A real Superset over a real build, looked at in a real Chromium, while builds publish or fail."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT, University

SUPERSET = PROJECT / ".venv-superset" / "bin" / "python"
DASHBOARDS = sorted(PROJECT.glob("superset/dashboards/*.yaml"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not SUPERSET.exists(),
        reason="Superset is not installed here: `make .venv-superset/.installed` installs it",
    ),
    pytest.mark.skipif(
        not (shutil.which("chromium") or shutil.which("chromium-browser")),
        reason="there is no Chromium on this machine: `apt-get install chromium`",
    ),
]


@dataclass
class Served:
    """A server over the home of a university, and who may log in."""

    university: University
    url: str
    process: subprocess.Popen

    @property
    def password(self) -> str:
        return (self.university.home / "superset" / "demo_password").read_text()

    def look(self, *dashboards: str, password: str = "", pictures: Path | None = None) -> dict:
        """What every chart of these dashboards shows in a browser."""
        arguments = [SUPERSET, PROJECT / "superset" / "look.py", "--url", self.url]
        arguments += ["--user", "demo", "--password", password or self.password]
        arguments += ["--pictures", pictures] if pictures else []
        done = subprocess.run(
            [*map(str, arguments), *dashboards],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.university.home,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    def query(self, token: str, model: str, column: str) -> list:
        """The distinct values of a column, asked of the API that charts ask."""
        dataset = self.get(
            f"/api/v1/dataset/?q=(filters:!((col:table_name,opr:eq,value:{model})))", token
        )["result"][0]["id"]
        body = {
            "datasource": {"id": dataset, "type": "table"},
            "queries": [{"columns": [column], "row_limit": 1000}],
            "result_format": "json",
            "result_type": "full",
        }
        answer = self.get("/api/v1/chart/data", token, body)
        return sorted({row[column] for row in answer["result"][0]["data"]})

    def get(self, path: str, token: str = "", body: object = None) -> dict:
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def log_in(self) -> str:
        body = {"username": "demo", "password": self.password, "provider": "db"}
        return self.get("/api/v1/security/login", body=body)["access_token"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo university, built and served; the server is stopped in the end."""
    folder = tmp_path_factory.mktemp("served")
    here = University(folder / "home", None, folder / "target")
    here.build(as_of="2024-03-04")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "serve.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [
                *(Path(sys.executable).parent / "insightera", "dashboards", "serve"),
                *("--port", str(port), "--workers", "1"),
            ],
            env=here.env(),
            stdout=stream,
            stderr=stream,
            cwd=PROJECT,
        )
    try:
        deadline = time.monotonic() + 400
        while "Ctrl-C stops it" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield Served(here, f"http://127.0.0.1:{port}", process)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(60)


def charts_of(path: Path) -> int:
    places = yaml.safe_load(path.read_text())["position"].values()
    return sum(isinstance(place, dict) and place["type"] == "CHART" for place in places)


def test_every_chart_of_every_dashboard_shows_data(served: Served, tmp_path: Path) -> None:
    wanted = {path.stem.replace("_", "-"): charts_of(path) for path in DASHBOARDS}
    assert len(wanted) == 3
    found = served.look(*(f"{k}={v}" for k, v in wanted.items()), pictures=tmp_path)
    assert found.pop("login") == ""
    empty = set()
    for slug, charts in found.items():
        assert len(charts) == wanted[slug]
        for chart in charts:
            assert chart["error"] == "", chart
            assert chart["empty"] or chart["drawn"] or chart["rows"] or chart["text"], chart
            empty |= {chart["name"]} if chart["empty"] else set()
        assert (tmp_path / f"{slug}.png").stat().st_size > 50_000
    # no outcome is known yet, and the first table of Model health says so
    assert {name.split("?")[0] for name in empty} == {"Did as many come true as was predicted"}
    status = found["model-health"][0]
    assert "Not known yet: the first predictions are of 2024-03-04" in status["text"]
    # one use case from the first look on, each question once
    assert status["text"].count("Which model predicts?") == 1
    assert status["rows"] == 7
    numbers = {chart["name"]: chart["text"].split("\n")[0] for chart in found["dropout-risk"]}
    active = served.university.query("select count(*) from reporting.report_student_dropout_risk")
    assert numbers["Students"] == str(active[0][0])


def test_nothing_is_shown_without_a_login(served: Served) -> None:
    assert (
        "Invalid username or password" in served.look("dropout-risk=1", password="wrong")["login"]
    )
    for path in ("/api/v1/dashboard/dropout-risk", "/api/v1/chart/", "/api/v1/dataset/1"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            served.get(path)
        assert refused.value.code in (401, 403, 404), path
    with urllib.request.urlopen(f"{served.url}/superset/dashboard/dropout-risk/") as answer:
        assert "/login" in answer.url


def test_a_failed_audit_changes_nothing_and_a_publish_is_seen_by_the_next_query(
    served: Served,
) -> None:
    """All over one open server, whose connections overlap the replacement of the file."""
    token, model = served.log_in(), "report_student_dropout_risk"
    before = served.query(token, model, "prediction_timestamp")
    assert served.query(token, model, "change_since_last_week") == [
        "Not known: no prediction is a week old yet"
    ]
    next_week = json.dumps({"as_of": "2024-03-11", "largest_high_share": -1})
    assert served.university.dbt("build", "--vars", next_week).returncode != 0
    assert served.query(token, model, "prediction_timestamp") == before
    shown = served.look("dropout-risk=12")["dropout-risk"]
    assert [chart for chart in shown if chart["error"] or chart["empty"]] == []

    served.university.build(as_of="2024-03-11")
    after = served.query(token, model, "prediction_timestamp")
    assert max(after) - max(before) == timedelta(days=7) / timedelta(milliseconds=1)
    changes = served.query(token, model, "change_since_last_week")
    assert changes
    assert not any(text.startswith("Not known") for text in changes)


def test_missing_serving_file_is_told_in_the_chart_and_comes_back(served: Served) -> None:
    """Last: the file is taken away under the server, and put back."""
    token, model = served.log_in(), "report_enrolment"
    file = served.university.home / "serving.duckdb"
    aside = file.with_suffix(".aside")
    there = served.query(token, model, "status")
    file.rename(aside)
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            served.query(token, model, "status")
        assert "serving.duckdb is missing: `make build` writes it again" in (
            refused.value.read().decode()
        )
    finally:
        aside.rename(file)
    assert served.query(token, model, "status") == there
