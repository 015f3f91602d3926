"""Whole builds of the demo university: twice, audited, killed, at once, and as a person runs them."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from conftest import PROJECT, University, within
from filelock import FileLock

from ml import lake
from ml.cli import main as cli
from ml.publishing import predictions

pytestmark = pytest.mark.slow

FIRST = datetime(2024, 3, 4)
# what only the first two builds run: the others would find the same files and the same SQL
SAME_AGAIN = ("--exclude-resource-type", "seed", "--exclude-resource-type", "unit_test")
TABLE = "student_dropout_risk"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> University:
    """The demo university, built once as of FIRST; every test goes on from where it stands."""
    folder = tmp_path_factory.mktemp("demo")
    here = University(folder / "home", None, folder / "target")
    here.build(as_of=str(FIRST))
    return here


def tomorrow(here: University) -> str:
    """A day after the newest prediction."""
    newest = here.query(
        "select max(prediction_timestamp) from published.published_student_dropout_risk"
    )
    return str(newest[0][0] + timedelta(days=1))


def state(here: University) -> dict:
    """Head, refs, rows and number of snapshots of that home's predictions."""
    with within(PROJECT, here.env()):
        rows = lake.read_table(TABLE)
        return {
            "head": lake.head(TABLE),
            "refs": lake.refs(TABLE),
            "rows": rows.select(["nim", "prediction_timestamp", "model_version"]).to_pylist(),
            "snapshots": len(lake.snapshots(TABLE)),
        }


def branches(here: University) -> set[str]:
    """The table's refs, read past PyIceberg: quickly enough to catch a build in the act."""
    with sqlite3.connect(here.home / "lake" / "catalog.db") as catalog:
        (location,) = catalog.execute(
            "select metadata_location from iceberg_tables where table_name = ?", (TABLE,)
        ).fetchone()
    return set(json.loads(Path(location.removeprefix("file://")).read_text())["refs"])


def insightera(here: University, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, in this process: its exit code and what it printed."""
    code = 0
    with within(PROJECT, here.env()) as (out, err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["insightera", *arguments])
        patch.setattr(cli.console, "_width", 180)
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_once(held: dict) -> None:
    """No prediction stands twice on `main`."""
    counts = Counter(tuple(row.values()) for row in held["rows"])
    assert counts
    assert set(counts.values()) == {1}


def test_same_build_again_adds_nothing(demo: University) -> None:
    before = state(demo)
    as_of = str(demo.query("select as_of from staging.this_build")[0][0])
    output = demo.build(as_of=as_of)
    assert state(demo) == before
    assert "nothing changed" in output
    assert demo.query("select count(*) from ml.score_student_dropout") == [(0,)]


def test_next_day_scores_what_changed_and_equals_a_full_scoring(demo: University) -> None:
    """The rows of an incremental build are those that scoring everyone would give."""
    demo.build(*SAME_AGAIN, as_of=tomorrow(demo))
    kinds = demo.query("select distinct inference_type from ml.score_student_dropout")
    assert kinds == [("incremental",)]
    active = demo.query("select count(*) from gold.dim_mahasiswa_current where is_active")[0][0]
    assert 0 < demo.query("select count(*) from ml.score_student_dropout")[0][0] < active
    assert_once(state(demo))
    # every active student has a prediction, and none rests on what came after it
    assert demo.query("select count(*) from reporting.report_student_dropout_risk")[0][0] == active


def in_force(here: University) -> dict[str, str]:
    """Of each use case when the newest of what is in force was predicted."""
    return {
        name: str(newest)
        for name, newest in here.query(
            "select use_case, max(prediction_timestamp) from published.published_predictions group by 1"
        )
    }


def served(here: University, sql: str) -> list[tuple]:
    """Rows of the serving file."""
    with duckdb.connect(str(here.home / "serving.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_refused_audit_changes_nothing_that_people_see_and_hinders_no_other(
    demo: University,
) -> None:
    before, serving = state(demo), digest(demo.home / "serving.duckdb")
    former, risks = in_force(demo), served(demo, "from report_student_dropout_risk order by nim")
    today, target = tomorrow(demo), f"{demo.target}-vars"  # what was parsed with other settings
    done = demo.dbt(
        *("build", *SAME_AGAIN, "--vars", "{largest_high_share: -1}"),
        *("--target-path", target),
        INSIGHTERA_AS_OF=today,
    )
    assert done.returncode != 0
    after = state(demo)
    branches = sorted(set(after["refs"]) - set(before["refs"]))
    assert len(branches) == 1
    assert branches[0].startswith("audit_")
    assert f"insightera predictions show student_dropout --branch {branches[0]}" in done.stdout
    assert "share_at_most" in done.stdout
    assert "Traceback" not in done.stdout
    assert (after["head"], after["rows"]) == (before["head"], before["rows"])
    assert digest(demo.home / "serving.duckdb") == serving
    assert "Of academic_excellence, attendance_anomaly, enrolment_forecast what was" in done.stdout

    caught_up = insightera(demo, "catch-up", "--dbt-target", target)
    assert caught_up.returncode == 0, caught_up.stdout + caught_up.stderr
    assert "Up to date but for student_dropout" in caught_up.stdout
    assert state(demo) == after, "what was refused is not published afterwards"
    assert in_force(demo)["attendance_anomaly"] == today > former["attendance_anomaly"]
    assert in_force(demo)["student_dropout"] == former["student_dropout"]
    assert served(demo, "select distinct as_of from report_model_status") == [
        (datetime.fromisoformat(today),)
    ]
    assert served(demo, "from report_student_dropout_risk order by nim") == risks
    answers = "select use_case from report_model_status where answer like '%score_student_dropout%'"
    assert served(demo, answers) == [("student_dropout",)]
    assert "Nothing waits" in insightera(demo, "catch-up", "--dbt-target", target).stdout
    shown = insightera(demo, "predictions", "show", TABLE, "--branch", branches[0])
    assert shown.returncode == 0, shown.stderr
    assert TABLE in shown.stdout


def test_killed_between_audit_and_publication(demo: University) -> None:
    """kill -9 as soon as the audit branch stands; then the same build again, which is none the worse
    for a refused audit before it, either."""
    before, as_of = state(demo), tomorrow(demo)
    process = subprocess.Popen(
        [Path(sys.executable).parent / "dbt", "build", *SAME_AGAIN],
        env=demo.env(INSIGHTERA_AS_OF=as_of),
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while branches(demo) == set(before["refs"]):
        assert process.poll() is None, "the build ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    demo.build(*SAME_AGAIN, as_of=as_of)
    after = state(demo)
    assert_once(after)
    assert {row["prediction_timestamp"] for row in after["rows"]} > {
        row["prediction_timestamp"] for row in before["rows"]
    }
    receipts = demo.query(
        "select snapshot_id, count(*) from published.published_receipts group by 1"
    )
    assert after["head"] in dict(receipts)
    assert set(dict(receipts).values()) == {1}


def test_two_builds_at_once(demo: University) -> None:
    """The second one stops with a message that says who is at work and what to do."""
    first = subprocess.Popen(
        [Path(sys.executable).parent / "dbt", "build", *SAME_AGAIN],
        env=demo.env(INSIGHTERA_AS_OF=tomorrow(demo)),
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
    )
    pid = demo.home / "build.pid"
    while not (pid.exists() and pid.read_text() == str(first.pid)):
        assert first.poll() is None
    second = demo.dbt("build", "--target-path", str(demo.target) + "-second")
    assert second.returncode != 0
    assert f"Another build (process {first.pid}) is at work in {demo.home}" in second.stdout
    assert "INSIGHTERA_WAIT" in second.stdout
    assert "Traceback" not in second.stdout
    assert first.wait() == 0
    assert_once(state(demo))


def test_serving_file_holds_the_reports(demo: University) -> None:
    with duckdb.connect(str(demo.home / "serving.duckdb"), read_only=True) as served:
        names = {
            row[0] for row in served.execute("select table_name from duckdb_tables()").fetchall()
        }
        assert names == {path.stem for path in PROJECT.glob("models/reporting/*/*.sql")}
        risks = served.table("report_student_dropout_risk").fetchall()
    assert sorted(risks, key=str) == sorted(
        demo.query("select * from reporting.report_student_dropout_risk"), key=str
    )


def test_command_line_over_a_build(demo: University, tmp_path: Path) -> None:
    nim = demo.query("select min(nim) from reporting.report_student_dropout_risk")[0][0]
    out = tmp_path / "risks.csv"
    for arguments, expected in (
        (
            ("predictions", "show", TABLE, "--as-of", str(FIRST.date() + timedelta(days=1))),
            "most of all",
        ),
        (("predictions", "show", TABLE, "--out", str(out)), "rows written"),
        (("predictions", "history", nim, "--table", TABLE), nim),
        (("predictions", "diff", str(FIRST), "2030-01-01", "--table", TABLE), TABLE),
        (("features", "get", nim), "attendance_rate_30d"),
        (("features", "get", nim, "--as-of", "2024-02-01"), "attendance_rate_30d"),
        (("models", "list"), "champion"),
        (("where",), "Look next"),
        (("doctor",), "state folder"),
    ):
        done = insightera(demo, *arguments)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout, arguments
    assert out.read_text().startswith('"nim"') or out.read_text().startswith("nim")


def test_mistakes_are_answered_in_words(demo: University) -> None:
    for arguments, expected in (
        (("predictions", "show", TABLE, "--as-of", "yesterday"), "yesterday"),
        (("predictions", "show", TABLE, "--snapshot", "1"), "snapshot"),
        (("predictions", "show", TABLE, "--branch", "audit_none"), "audit_none"),
        (("predictions", "show", "--table", "nothing"), "nothing"),
        (("predictions", "history", "no-such-nim", "--table", TABLE), "no-such-nim"),
        (("features", "get", "no-such-nim"), "no-such-nim"),
        (("models", "promote", "student_dropout", "99", "--reason", "try"), "99"),
        (("replay", "--from", "2024-01-01", "--to", "2023-01-01"), "before"),
        (("replay", "--from", "2024-01-01", "--to", "2024-02-01", "--every", "fortnight"), "4w"),
        (("replay", "--from", "2024-03-01", "--to", "2204-01-01"), "in the future"),
        (
            ("replay", "--from", "2024-03-01", "--to", "2024-03-01", "--select", "no_such"),
            "no_such",
        ),
        (
            ("predictions", "show", TABLE, "--out", str(demo.home / "mlflow.db" / "x.csv")),
            "mlflow.db",
        ),
        (("import", "oulad", str(demo.home), "--out", str(demo.home / "raw")), "studentInfo"),
    ):
        done = insightera(demo, *arguments)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, arguments
        assert expected in done.stderr, (arguments, done.stderr)


def test_what_a_wrong_clock_published_ahead_of_time_is_not_in_force(demo: University) -> None:
    """`predictions show` answers with what was predicted up to now; `--as-of` may ask further."""
    with within(PROJECT, demo.env()):
        held = predictions.show("student_dropout_risk")
        newest = max(held["prediction_timestamp"].to_pylist())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(predictions, "now", lambda: newest - timedelta(microseconds=1))
            early = predictions.show("student_dropout_risk")
        assert newest not in early["prediction_timestamp"].to_pylist()
        assert predictions.show("student_dropout_risk", as_of="2999-01-01").equals(held)


def test_an_altered_model_is_refused_in_words(demo: University) -> None:
    """The champion's file is not what was registered: nothing is scored with it, and a line says so."""
    before, today = state(demo), tomorrow(demo)
    (version,) = demo.query("select champion_version from ml.train_student_dropout")[0]
    for model in (demo.home / "mlartifacts").rglob("model.pkl"):
        model.write_bytes(model.read_bytes() + b" ")
    done = demo.dbt("build", *SAME_AGAIN, INSIGHTERA_AS_OF=today)
    caught_up = insightera(demo, "catch-up")
    for model in (demo.home / "mlartifacts").rglob("model.pkl"):
        model.write_bytes(model.read_bytes()[:-1])
    assert done.returncode != 0
    said = [line for line in done.stdout.splitlines() if "score_student_dropout: Model" in line]
    assert len(said) == 1, "said in one line of its own, whatever dbt makes of it besides"
    assert f"Model student_dropout version {version}: " in said[0]
    assert "is not the file that was registered" in said[0]
    assert state(demo) == before
    assert caught_up.returncode == 0, caught_up.stdout + caught_up.stderr
    assert served(demo, "select distinct as_of from report_model_status") == [
        (datetime.fromisoformat(today),)
    ]


def test_rollback_takes_main_back_and_the_next_build_goes_on(demo: University) -> None:
    published = {row["prediction_timestamp"] for row in state(demo)["rows"]}
    if len(published) < 2:  # no test before this one has published
        demo.build(*SAME_AGAIN, as_of=tomorrow(demo))
    before = state(demo)
    done = insightera(demo, "predictions", "rollback", "--yes", "--table", TABLE)
    assert done.returncode == 0, done.stderr
    rolled_back = state(demo)
    assert rolled_back["head"] != before["head"]
    assert len(rolled_back["rows"]) < len(before["rows"])
    demo.build(*SAME_AGAIN, as_of=tomorrow(demo))
    assert_once(state(demo))


def test_replay_walks_through_history(demo: University) -> None:
    """Each step publishes what was known then. The command is a person's: a process of its own."""
    before = state(demo)
    arguments = ("--from", "2024-04-01", "--to", "2024-05-01", "--every", "4w")
    done = subprocess.run(
        [Path(sys.executable).parent / "insightera", "replay", *arguments],
        env=demo.env(),
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[2/2] as of 2024-04-29" in done.stdout
    after = state(demo)
    assert_once(after)
    steps = [
        {str(row["prediction_timestamp"].date()) for row in held["rows"]}
        for held in (before, after)
    ]
    assert steps[1] - steps[0] == {"2024-04-01", "2024-04-29"}
    logs = [(demo.home / "replay" / f"2024-04-{day}T0000.log").read_text() for day in ("01", "29")]
    assert [" unit_test " in log for log in logs] == [True, False]
    assert all(" ERROR=0 " in log for log in logs)


def test_failed_step_of_a_replay_says_where_to_read_on(demo: University) -> None:
    """And leaves the process as it was: folder, settings, and the lock that another holds."""
    before = state(demo), Path.cwd(), dict(os.environ)
    with FileLock(demo.home / "build.lock"):
        done = insightera(demo, "replay", "--from", "2024-06-01", "--to", "2024-07-01")
    assert done.returncode == 2
    assert "The build as of 2024-06-01 00:00:00 failed" in done.stderr
    assert done.stderr.count("Another build") == 1
    log = demo.home / "replay" / "2024-06-01T0000.log"
    assert str(log) in done.stderr
    assert "Another build" in log.read_text()
    assert not log.with_name("2024-06-08T0000.log").exists()
    assert (state(demo), Path.cwd(), dict(os.environ)) == before
