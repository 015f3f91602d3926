"""A use case that fails hinders no other, also where it never published: three at once, each in its
own way, on a home without a build; then mended."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from conftest import PROJECT, University, run_dbt, within

from ml import lake
from ml.cli import main as cli
from ml.core import settings

pytestmark = pytest.mark.slow

FIRST = datetime(2024, 6, 1)
# use case -> file, what stands there, what breaks it, and the model that then fails
BROKEN = {
    "student_dropout": (  # the audit
        "python_models/scoring/score_student_dropout.yml",
        "most: '{{ var(''largest_high_share'') }}'",
        "most: '-1'",
        "score_student_dropout",
    ),
    "academic_excellence": (  # training, and all that checks the fields
        "models/labels/label_academic_excellence.yml",
        "metric: ",
        "metric: no_such_",
        "train_academic_excellence",
    ),
    "enrolment_forecast": (  # the spine: every row twice
        "models/labels/label_enrolment_forecast.sql",
        "select * from final",
        "select * from final union all select * from final",
        "label_enrolment_forecast",
    ),
}
SOUND = "attendance_anomaly"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of the project, which the command line takes for its own."""
    folder = tmp_path_factory.mktemp("broken") / "project"
    for name in ("models", "python_models", "macros", "seeds", "snapshots", "profiles", "analyses"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "tests", folder / "tests", ignore=shutil.ignore_patterns("python"))
    shutil.copy(PROJECT / "dbt_project.yml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "PROJECT", folder)
        yield folder


@pytest.fixture(scope="module")
def here(project: Path) -> University:
    return University(project.parent / "home", None, project.parent / "target")


@pytest.fixture(scope="module")
def refused(project: Path, here: University) -> subprocess.CompletedProcess[str]:
    """What a replay of one step says where all but one use case fail, and its exit code."""
    for file, stands, breaks, _ in BROKEN.values():
        text = (project / file).read_text()
        assert text.count(stands) == 1, file
        (project / file).write_text(text.replace(stands, breaks))
    code = 0
    arguments = ["insightera", "replay", "--from", str(FIRST), "--to", str(FIRST)]
    with within(project, here.env()) as (out, err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def test_it_stays_a_failure_that_names_who_failed(
    refused: subprocess.CompletedProcess[str], here: University
) -> None:
    assert refused.returncode == 2, refused.stdout
    assert f"Up to date but for {', '.join(sorted(BROKEN))}" in refused.stderr
    log = (here.home / "replay" / f"{FIRST:%Y-%m-%dT%H%M}.log").read_text()
    assert "AUDIT FAILED: student_dropout" in log
    assert "train_academic_excellence: label_academic_excellence: meta.use_case.promotion" in log
    assert f"Of {SOUND} what was new is published" in log


@pytest.mark.usefixtures("refused")
def test_the_sound_one_is_published_with_a_receipt_and_served(here: University) -> None:
    (rows,) = here.query("select count(*) from published.published_attendance_anomalies")[0]
    assert rows > 0
    receipts = here.query("select table_name, rows from published.published_receipts")
    assert receipts == [("attendance_anomalies", rows)]
    in_force = here.query(
        "select use_case, count(*) from published.published_predictions group by 1"
    )
    assert in_force == [(SOUND, rows)]
    with duckdb.connect(str(here.home / "serving.duckdb"), read_only=True) as served:
        assert {name for (name,) in served.execute("show tables").fetchall()} == {
            path.stem for path in PROJECT.glob("models/reporting/*/*.sql")
        }
        assert served.table("report_courses").fetchone() is not None


def published(project: Path, use_case: str) -> str:
    """The model that publishes a use case."""
    (path,) = (project / "python_models" / "publishing").glob(f"published_{use_case}*.py")
    return path.stem


def columns(here: University, table: str) -> list[tuple[str, str]]:
    """Name and type of each column of a published table, by name."""
    return sorted((name, kind) for name, kind, *_ in here.query(f"describe published.{table}"))


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("use_case", BROKEN)
def test_a_refused_one_published_nothing_and_model_health_says_so(
    here: University, project: Path, use_case: str
) -> None:
    table = published(project, use_case)
    assert here.query(f"select count(*) from published.{table}") == [(0,)]
    with within(PROJECT, here.env()):
        name = table.removeprefix("published_")
        assert not lake.exists(name) or lake.head(name) is None
    (answer, verdict) = here.query(
        "select answer, verdict from reporting.report_model_status "
        f"where use_case = '{use_case}' and question_number = 2"
    )[0]
    assert f"in this build {BROKEN[use_case][3]} failed" in answer
    assert verdict == "look at it"


@pytest.mark.usefixtures("refused")
def test_a_mended_build_publishes_them_all_in_the_columns_they_had(
    here: University, project: Path
) -> None:
    tables = [published(project, use_case) for use_case in BROKEN]
    before = {table: columns(here, table) for table in tables}
    for file, *_ in BROKEN.values():
        shutil.copy(PROJECT / file, project / file)
    done = run_dbt(
        project,
        here.env(INSIGHTERA_AS_OF=str(FIRST + timedelta(days=1))),
        *("build", "--exclude-resource-type", "seed", "--exclude-resource-type", "unit_test"),
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert {table: columns(here, table) for table in tables} == before
    in_force = here.query("select distinct use_case from published.published_predictions")
    assert {use_case for (use_case,) in in_force} == {*BROKEN, SOUND}
    assert here.query("select refused from staging.this_build") == [("{}",)]
    failures = (
        "select count(*) from reporting.report_model_status where answer like '%in this build%'"
    )
    assert here.query(failures) == [(0,)]
