"""Reviews of anomalies: rows beside the detections, which they never change."""

import json
import logging
import multiprocessing
import re
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from ml import lake
from ml.cli import main
from ml.core.errors import InsighteraError
from ml.lake import anomaly_reviews as reviews
from ml.lake import prediction_tables

TABLE = "attendance_anomalies"
CASE = "attendance_anomaly"
WHY = "Attendance, 7 days: 10 % (usually 75 to 100 %)"
ONE, TWO, QUIET = "1a" * 16, "2b" * 16, "3c" * 16
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("nim", "anomaly_id", "domain", "anomaly_type")),
        *((name, pa.float64()) for name in ("anomaly_score", "z_score")),
        ("is_anomaly", pa.bool_()),
        *((name, pa.string()) for name in ("severity", "explanation")),
        *((name, pa.string()) for name in ("model_name", "model_version")),
        ("prediction_timestamp", pa.timestamp("us")),
    ]
)


def detection(nim: str, anomaly: str, score: float, day: int = 11) -> dict[str, object]:
    flagged = score >= 98
    return {
        "nim": nim,
        "anomaly_id": anomaly,
        "domain": "kehadiran",
        "anomaly_type": "absence",
        "anomaly_score": score,
        "z_score": 2.5,
        "is_anomaly": flagged,
        "severity": "High" if flagged else None,
        "explanation": WHY,
        "model_name": CASE,
        "model_version": "1",
        "prediction_timestamp": datetime(2024, 3, day),
    }


def publish(*rows: dict[str, object]) -> None:
    lake.append(TABLE, pa.Table.from_pylist(list(rows), schema=SCHEMA), {"run-id": "r"})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("INSIGHTERA_LAKE", "INSIGHTERA_CATALOG_URI", "INSIGHTERA_RAW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path))
    properties = {
        prediction_tables.ENTITY_KEYS: json.dumps(["nim"]),
        prediction_tables.OUTCOME: "anomaly",
    }
    lake.ensure(TABLE, SCHEMA, properties=properties)
    publish(
        detection("230001", ONE, 98.5),
        detection("230002", TWO, 99.9),
        detection("230003", QUIET, 40.0),
    )
    return tmp_path


def listed(status: str = "all") -> list[tuple[str, str]]:
    rows = reviews.detected(status=status).to_pylist()
    return [(row["anomaly_id"], row["status"]) for row in rows]


def test_only_what_was_flagged_is_listed_the_open_and_highest_first() -> None:
    assert listed() == [(TWO, "open"), (ONE, "open")]
    reviews.resolve(TWO, "confirmed", "was ill")
    assert listed() == [(ONE, "open"), (TWO, "confirmed")]
    assert listed("open") == [(ONE, "open")]
    assert listed("confirmed") == [(TWO, "confirmed")]
    assert listed("false_alarm") == []


def test_a_detection_stays_once_when_later_builds_score_it_again() -> None:
    publish(detection("230001", ONE, 98.9, day=12), detection("230002", TWO, 50.0, day=12))
    rows = {row["anomaly_id"]: row for row in reviews.detected().to_pylist()}
    assert set(rows) == {ONE, TWO}
    assert rows[ONE]["anomaly_score"] == 98.9
    assert rows[TWO]["anomaly_score"] == 99.9


def test_a_review_changes_no_detection_and_a_later_one_supersedes_it() -> None:
    before = lake.read_table(TABLE)
    snapshot = lake.head(TABLE)
    reviews.resolve(ONE, "false_alarm", "excused")
    reviews.resolve(ONE, "confirmed", "the excuse was forged")
    assert lake.head(TABLE) == snapshot
    assert lake.read_table(TABLE).equals(before)
    found, every = reviews.of(ONE)
    assert found["status"].to_pylist() == ["confirmed"]
    assert found["reason"].to_pylist() == ["the excuse was forged"]
    assert every["verdict"].to_pylist() == ["false_alarm", "confirmed"]
    assert every["reviewed_by"].to_pylist() == [lake.user()] * 2
    assert reviews.counts(CASE) == (1, 0)
    assert reviews.counts("another") == (0, 0)


def test_reviews_as_of_an_instant_are_those_known_then() -> None:
    reviews.resolve(ONE, "confirmed", "was ill")
    first = reviews.reviews()["reviewed_at"].to_pylist()[0]
    reviews.resolve(ONE, "false_alarm", "was not")
    assert reviews.counts(CASE, first) == (1, 0)
    assert reviews.counts(CASE) == (0, 1)
    assert reviews.reviews(datetime(2020, 1, 1)).num_rows == 0


def test_the_later_review_counts_though_a_clock_was_ahead() -> None:
    reviews.resolve(ONE, "confirmed", "was ill")
    ahead = reviews.reviews().to_pylist()[0] | {
        "review_id": "f" * 32,
        "reviewed_at": datetime(2999, 1, 1),
    }
    lake.append(reviews.REVIEWS, pa.Table.from_pylist([ahead], schema=reviews.REVIEW), {})
    reviews.resolve(ONE, "false_alarm", "was not")
    assert listed("false_alarm") == [(ONE, "false_alarm")]


def _resolve(verdict: str, reason: str, gate: "multiprocessing.synchronize.Barrier") -> None:
    gate.wait()
    reviews.resolve(ONE, verdict, reason)


def test_two_who_review_at_once_both_land() -> None:
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(3)
    people = [
        context.Process(target=_resolve, args=(verdict, f"by {number}", gate))
        for number, verdict in enumerate(("confirmed", "false_alarm", "confirmed"))
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
        assert person.exitcode == 0
    written = reviews.reviews()
    assert sorted(written["reason"].to_pylist()) == ["by 0", "by 1", "by 2"]
    assert len(set(written["reviewed_at"].to_pylist())) == 3
    latest = max(written.to_pylist(), key=lambda row: row["reviewed_at"])
    found, _ = reviews.of(ONE)
    assert found["reason"].to_pylist() == [latest["reason"]]


@pytest.mark.parametrize(
    ("anomaly", "verdict", "reason", "said"),
    [
        ("ffff", "confirmed", "x", "No anomaly 'ffff'"),
        ("", "confirmed", "x", "No anomaly ''"),
        (QUIET, "confirmed", "x", "No anomaly"),
        (ONE, "maybe", "x", "No verdict 'maybe'"),
        (ONE, "confirmed", "  ", "needs a reason"),
    ],
)
def test_what_cannot_be_reviewed_is_one_message(
    anomaly: str, verdict: str, reason: str, said: str
) -> None:
    with pytest.raises(InsighteraError, match=re.escape(said)):
        reviews.resolve(anomaly, verdict, reason)
    assert not lake.exists(reviews.REVIEWS)


def test_the_beginning_of_an_id_will_do_while_it_is_one() -> None:
    publish(detection("230009", "1a1b" * 8, 99.0))
    assert reviews.resolve("1a1a", "confirmed", "x") == ONE
    with pytest.raises(InsighteraError, match="2 anomalies begin with '1a1'"):
        reviews.resolve("1a1", "confirmed", "x")


def test_unknown_use_cases_and_states_are_named() -> None:
    with pytest.raises(InsighteraError, match=f"No use case 'x'.*{CASE}"):
        reviews.detected("x")
    with pytest.raises(InsighteraError, match="No status 'closed'"):
        reviews.detected(status="closed")
    assert reviews.detected(CASE, "confirmed").num_rows == 0


def insightera(*arguments: str) -> str:
    done = CliRunner().invoke(main.app, arguments, env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    return done.output


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("ml.cli.anomalies.console.width", 80, raising=False)
    return insightera("anomalies", *arguments)


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (("anomalies", "list"), "anomaly_id"),
        (("anomalies", "show", ONE), "anomaly_id"),
        (("use-cases", "list"), "name"),
    ],
)
def test_what_a_machine_gets_is_what_a_file_holds(
    call: tuple[str, ...], key: str, tmp_path: Path
) -> None:
    reviews.resolve(ONE, "confirmed", "was ill")
    rows = json.loads(insightera(*call, "--format", "json"))
    assert rows
    assert insightera(*call, "--out", "-") == insightera(*call, "--format", "csv")
    read = {
        "json": lambda path: json.loads(path.read_text()),
        "csv": lambda path: pyarrow.csv.read_csv(path).to_pylist(),
        "parquet": lambda path: pyarrow.parquet.read_table(path).to_pylist(),
    }
    for ending, of in read.items():
        out = tmp_path / f"rows.{ending}"
        assert f"{len(rows)} rows written to {out}" in insightera(*call, "--out", str(out))
        assert [row[key] for row in of(out)] == [row[key] for row in rows]


def test_the_command_line_lists_shows_and_resolves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = run("list", monkeypatch=monkeypatch)
    table = [line for line in told.splitlines() if line and line[0] in "┏┃┡│└"]
    assert max(map(len, table)) <= 80
    assert f"{CASE}: 0 of the 20 reviews that it takes" in told
    assert told.index("230002") < told.index("230001")
    assert "Attendance" in told
    assert (
        json.loads(run("list", "--format", "json", monkeypatch=monkeypatch))[0]["anomaly_id"] == TWO
    )

    said = run(
        *("resolve", ONE[:8], "--as", "false_alarm", "--reason", "Siti was ill"),
        monkeypatch=monkeypatch,
    )
    assert said == "1a1a1a1a: false alarm.\n"
    told = run("list", "--status", "open", monkeypatch=monkeypatch)
    assert "1 of the 20 reviews that it takes" in told
    assert "(0 confirmed, 1 false alarms)" in told
    shown = run("show", ONE, monkeypatch=monkeypatch)
    assert "false alarm: Siti was ill" in shown
    assert WHY in shown
    machine = json.loads(run("show", ONE, "--format", "json", monkeypatch=monkeypatch))
    assert machine[0]["reviews"][0]["verdict"] == "false_alarm"
    assert "No confirmed anomalies" in run("list", "--status", "confirmed", monkeypatch=monkeypatch)
    assert "Siti" not in caplog.text
    assert "230001" not in caplog.text
    assert not [
        value
        for snapshot in lake.snapshots(reviews.REVIEWS).values()
        for value in snapshot.summary.values()
        if "Siti" in value
    ]


def test_without_predictions_there_are_no_anomalies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path / "fresh"))
    assert reviews.detected().num_rows == 0
    with pytest.raises(InsighteraError, match="No anomaly 'ab'"):
        reviews.of("ab")
