"""Columns in plain words: labels and units from the YAML, whatever the join put before a name."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from scoring_world import FIRST, copy_store, use_home
from task_worlds import ALWAYS, QUESTIONS, WORLDS, Attendance, empty_store, train

from ml import registry
from ml.core import words
from ml.core.use_case import Build

LABELS = {
    "features_mahasiswa_academic": {
        "trend": {"label": "Trend of marks", "unit": "grade points"},
        "gpa": {"label": "Grade point average", "unit": "grade points"},
    },
    "features_mahasiswa_engagement": {"trend": {"label": "Trend of clicks", "unit": "clicks"}},
    "features_peneliti_publication": {"pub__count": {"label": "Publications", "unit": "papers"}},
}
HABIT = {
    "features_mahasiswa_habit": {
        "attendance_change": {"label": "Attendance against own habit", "unit": "share"},
        "record_lag": {"label": "Longest wait for a record", "unit": "hours"},
    }
}


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("gpa", "Grade point average"),
        ("academic__trend", "Trend of marks"),
        ("engagement__trend", "Trend of clicks"),
        ("pub__count", "Publications"),
        ("a__pub__count", "Publications (a)"),
        ("a__publication__pub__count", "Publications (a)"),
        ("b__gpa", "Grade point average (b)"),
        ("b__academic__trend", "Trend of marks (b)"),
        ("b__engagement__trend", "Trend of clicks (b)"),
        ("cohort__size", "cohort size"),
        ("late_share", "late share"),
    ],
)
def test_a_column_is_called_by_its_own_name_and_table(column: str, label: str) -> None:
    assert words.label_of(column, LABELS)[0] == label


@pytest.mark.parametrize(
    ("held", "unit", "said"),
    [
        (None, "share", "not recorded"),
        (0.117, "share", "12 %"),
        (-0.5, "share", "-50 %"),
        (True, "", "yes"),
        ("SNBP", "category", "SNBP"),
        (1234.0, "clicks", "1,234"),
        (15.031, "hours", "15.0"),
        (2.7182, "grade points", "2.72"),
        (1234.5678, "clicks", "1,235"),
        (0.00423, "", "0.0042"),
        (float("inf"), "hours", "inf"),
    ],
)
def test_values_are_said_as_a_person_reads_them(held: Any, unit: str, said: str) -> None:
    assert words.value(held, unit) == said


def test_ranges_say_the_percent_once() -> None:
    assert words.between(0.6, 1.0, "share") == "60 to 100 %"
    assert words.between(1.0, 1.0, "share") == "100 %"
    assert words.between(0, 3.25, "hours") == "0 to 3.25"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose model store is empty."""
    copy_store(tmp_path, empty_store())
    use_home(tmp_path, monkeypatch)
    return tmp_path


class Labelled(Attendance):
    """The same search, in a project whose feature table has labels."""

    labels: ClassVar[words.Labels] = HABIT

    def build(self, as_of: Any, run_id: str, **changes: Any) -> Any:
        made = super().build(as_of, run_id, **changes)
        return made.project(f"*, '{json.dumps(self.labels)}' as column_labels")


class Reworded(Labelled):
    """And after somebody found better words."""

    labels: ClassVar[words.Labels] = {
        "features_mahasiswa_habit": {"record_lag": {"label": "Wait", "unit": "minutes"}}
    }


@pytest.mark.usefixtures("home")
def test_explanations_and_card_say_labels_and_units() -> None:
    world = Labelled(60)
    assert train(world)["decision"].startswith("promoted")
    (version,) = registry.list_versions(world.name)
    card = registry.document(version, "model_card.md").decode()
    assert "| Attendance against own habit | attendance_change | mandatory |" in card
    assert "| Longest wait for a record (hours) | record_lag | mandatory |" in card
    assert re.search(r"\| Attendance against own habit \| -\d+ % \| \d+ % \|", card)
    rows = world.run(FIRST, "run-1").to_pylist()
    reasons = [row["explanation"] for row in rows if row["is_anomaly"]]
    assert reasons
    for reason in reasons:
        assert re.fullmatch(
            r"Longest wait for a record: [\d.]+ hours \(usually [\d.]+ to [\d.]+\)", reason
        )
    assert [row["explanation"] for row in rows if not row["is_anomaly"]] == [None] * (
        len(rows) - len(reasons)
    )


@pytest.mark.usefixtures("home")
def test_other_words_are_no_reason_to_train_or_to_score() -> None:
    world, reworded = Labelled(60), Reworded(60)
    train(world, retrain=ALWAYS)
    world.run(FIRST, "run-1")
    again = train(reworded, run_id="run-2", retrain=ALWAYS)
    assert again["decision"].startswith("already trained as version 1")
    assert len(registry.list_versions(world.name)) == 1
    assert reworded.score(FIRST, "run-2").num_rows == 0


@pytest.mark.parametrize("task", WORLDS)
def test_a_build_without_labels_names_columns(task: str) -> None:
    """`this_build` of before this column, or of another project."""
    asked = QUESTIONS[task]()
    (row,) = asked.build(FIRST + timedelta(days=1), "run-1").to_arrow_table().to_pylist()
    case = Build.of(row).use_case(asked.name)
    assert case.words("same_minute_partner") == ("same minute partner", "")
    said = Build.of({**row, "column_labels": json.dumps(LABELS)}).use_case(asked.name)
    assert set(said.column_labels) == set(LABELS) & set(case.features)
