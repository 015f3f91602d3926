"""What people said of anomalies as a measure: on the card and in monitoring, as of a build's instant."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from scoring_world import FIRST, LATER, copy_store, use_home
from task_worlds import ALWAYS, Attendance, store, train

from ml import lake, monitoring, registry
from ml.lake import anomaly_reviews
from ml.tasks.rates import wilson

HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attendance:
    """After a first build of 1,000 students by version 1, which flags some thirty."""
    copy_store(tmp_path, store("anomaly"))
    use_home(tmp_path, monkeypatch)
    made = Attendance(1000)
    made.run(FIRST, "run-1")
    return made


def flagged() -> list[str]:
    return sorted(row["anomaly_id"] for row in anomaly_reviews.detected().to_pylist())


def say(anomalies: Sequence[str], verdict: str, at: datetime) -> None:
    """Reviews as `resolve` writes them, at an instant of our own."""
    lake.ensure(anomaly_reviews.REVIEWS, anomaly_reviews.REVIEW)
    rows = [
        {
            "review_id": f"{verdict}-{anomaly}-{at}",
            "anomaly_id": anomaly,
            "use_case": Attendance.name,
            "verdict": verdict,
            "reason": "asked",
            "reviewed_by": "somebody",
            "reviewed_at": at,
        }
        for anomaly in anomalies
    ]
    lake.append(
        anomaly_reviews.REVIEWS, pa.Table.from_pylist(rows, schema=anomaly_reviews.REVIEW), {}
    )


def monitored(world: Attendance, as_of: datetime) -> list[dict]:
    return monitoring.reviews(build=world.build(as_of, "run")).to_pylist()


def card(world: Attendance) -> str:
    """That of a version trained at LATER."""
    decision = train(world, LATER, retrain=ALWAYS)
    (version,) = (
        entry
        for entry in registry.list_versions(world.name)
        if entry.version == decision["trained_version"]
    )
    said = json.loads(registry.document(version, "metrics.json"))["reviews"]
    text = registry.document(version, "model_card.md").decode()
    assert f"{said['confirmed']}" in text
    return text


def test_nineteen_reviews_are_counted_and_no_measure(world: Attendance) -> None:
    ids = flagged()
    assert len(ids) >= 25
    assert monitored(world, LATER) == []
    say(ids[:19], "confirmed", FIRST + HOUR)
    (row,) = monitored(world, LATER)
    assert (row["model_version"], row["reviews"], row["confirmed"]) == ("1", 19, 19)
    assert {row[name] for name in row if name.startswith("precision")} == {None}
    assert "19 of the 20 reviews that it takes" in card(world)


def test_twenty_reviews_are_a_measure_as_of_the_build(world: Attendance) -> None:
    ids = flagged()
    say(ids[:20], "confirmed", FIRST + HOUR)
    say(ids[:5], "false_alarm", FIRST + 2 * HOUR)  # who thinks again: the later counts
    # what is said after the build's instant: other verdicts, and of more anomalies
    say(ids[:20], "false_alarm", LATER + HOUR)
    say(ids[20:], "confirmed", LATER + HOUR)

    low, high = wilson(0.75, 20)
    assert monitored(world, LATER) == [
        {
            "use_case": world.name,
            "model_version": "1",
            "reviews": 20,
            "confirmed": 15,
            "precision_reviewed": 0.75,
            "precision_reviewed_lower": low,
            "precision_reviewed_upper": high,
        }
    ]
    assert monitored(world, FIRST) == []
    assert monitored(world, FIRST + HOUR)[0]["confirmed"] == 20
    later = monitored(world, LATER + HOUR)[0]
    assert (later["reviews"], later["confirmed"]) == (len(ids), len(ids) - 20)
    assert "of 20 reviewed, 75% were confirmed (53% to 89% at 95 %)" in card(world)


def test_reviews_after_the_build_change_neither_card_nor_version(world: Attendance) -> None:
    ids = flagged()
    say(ids[:20], "confirmed", FIRST + HOUR)
    before = monitored(world, LATER)
    assert "of 20 reviewed, 100% were confirmed" in card(world)
    say(ids, "false_alarm", LATER + HOUR)
    assert monitored(world, LATER) == before
    again = train(world, LATER, run_id="run-2", retrain=ALWAYS)
    assert again["decision"].startswith("already trained as version 2")


def test_each_version_answers_for_what_it_flagged_last(world: Attendance) -> None:
    """In the week of LATER a new champion flags anew; reviews of the week before stay the first's."""
    ids = flagged()
    decision = train(world, LATER, retrain=ALWAYS)
    assert decision["champion_version"] == "2"
    world.run(LATER, "run-2")
    new = sorted(set(flagged()) - set(ids))
    assert len(new) >= 20
    say(ids[:20], "confirmed", LATER)
    say(new[:20], "false_alarm", LATER)
    found = monitored(world, LATER)
    assert [(row["model_version"], row["precision_reviewed"]) for row in found] == [
        ("1", 1.0),
        ("2", 0.0),
    ]
