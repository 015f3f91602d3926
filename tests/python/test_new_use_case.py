"""From `insightera new use-case` to published predictions, with no other edit, and back."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PROJECT, UNTESTED, University, run_dbt, within

from ml.cli import main as cli
from ml.cli import use_case_files
from ml.cli.use_case_files import MARK
from ml.core import settings

SUBJECTS = ("academic", "assessment", "attendance", "cohort", "demographic", "engagement")
FEATURES = ",".join(f"features_mahasiswa_{subject}" for subject in SUBJECTS)
QUESTION = (
    *("--entity", "nim", "--outcome", "leaving", "--no-input"),
    *("--features", FEATURES),
    *("--mandatory", "gpa_cumulative,attendance_rate_30d,active_days_30d,submitted_share"),
)
EVENT = (
    *("--event-model", "dim_mahasiswa", "--event-time", "valid_from"),
    *("--event-where", "events.status = 'dropout'"),
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the project, which the command line takes for its own."""
    folder = tmp_path / "project"
    for name in ("models", "python_models", "macros", "seeds", "snapshots", "profiles", "analyses"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "tests", folder / "tests", ignore=shutil.ignore_patterns("python"))
    shutil.copy(PROJECT / "dbt_project.yml", folder)
    monkeypatch.setattr(settings, "PROJECT", folder)
    return folder


@pytest.fixture
def insightera(
    project: Path, university: Callable[..., University]
) -> Callable[..., tuple[int, str]]:
    """The command line in this process: exit code, and what it printed."""
    here = university(None)

    def run(*arguments: str) -> tuple[int, str]:
        code = 0
        with within(project, here.env()) as (out, err), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["insightera", *arguments])
            try:
                cli.main()
            except SystemExit as stop:
                code = int(stop.code or 0)
        return code, out.getvalue() + err.getvalue()

    return run


@pytest.mark.slow
@pytest.mark.xdist_group("builds")
def test_two_files_make_published_predictions_and_leave_no_trace(
    project: Path,
    insightera: Callable[..., tuple[int, str]],
    university: Callable[..., University],
) -> None:
    before = use_case_files.written(project)
    code, said = insightera(
        "new", "use-case", "student_leaving", "--task", "classification", *QUESTION, *EVENT
    )
    assert code == 0, said
    label = project / "models" / "labels" / "label_student_leaving"
    by_hand = [
        path
        for path in project.rglob("*student_leaving*")
        if path.is_file() and MARK not in path.read_text()
    ]
    assert sorted(by_hand) == [label.with_suffix(".sql"), label.with_suffix(".yml")]

    here = university(None)

    def dbt(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = run_dbt(project, here.env(), *arguments)
        assert done.returncode == 0, done.stdout[-5000:]
        return done

    dbt("build", "--select", "+published_student_leaving", "label_student_leaving", *UNTESTED)
    dbt("test", "--select", "label_student_leaving", "score_student_leaving")
    (rows,) = here.query("select count(*) from published.published_student_leaving")
    assert rows[0] > 100, here.query("select decision from ml.train_student_leaving")

    for suffix in (".sql", ".yml"):
        label.with_suffix(suffix).unlink()
    assert insightera("use-cases", "sync", "--check")[0] == 2
    assert insightera("use-cases", "sync")[0] == 0
    assert insightera("use-cases", "sync", "--check")[0] == 0
    assert use_case_files.written(project) == before
    assert not list(project.glob("*models/**/*student_leaving*"))
    dbt("parse", "--no-partial-parse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Student-Leaving",), "is no identifier"),
        (("student_dropout",), "already"),
        (("leaving", "--event-time", "nothing"), "has no column 'nothing'"),
        (("leaving", "--features", "features_none"), "no feature model 'features_none'"),
        (("leaving", "--entity", "nidn"), "has no column 'nidn'"),
        (("leaving", "--event-model", "fact_none"), "no model 'fact_none'"),
        (("leaving", "--mandatory", "shoe_size"), "column shoe_size"),
        (("leaving", "--task", "guess"), "no task 'guess'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    project: Path,
    insightera: Callable[..., tuple[int, str]],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    before = sorted(project.rglob("*.*"))
    name, *changed = arguments
    code, said = insightera(
        "new", "use-case", name, "--task", "classification", *QUESTION, *EVENT, *changed
    )
    assert code == 2
    assert message in " ".join(said.split())
    assert sorted(project.rglob("*.*")) == before


@pytest.mark.parametrize("task", ["forecast", "anomaly"])
def test_each_task_begins_with_files_that_sync_reads(
    project: Path, insightera: Callable[..., tuple[int, str]], task: str
) -> None:
    code, said = insightera("new", "use-case", "other", "--task", task, *QUESTION, *EVENT)
    assert code == 0, said
    assert "make build" in said
    assert "other" in {use_case.name for use_case in use_case_files.declared(project)}
