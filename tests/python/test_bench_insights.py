"""`benchmarks/insights.py`: what is a planted fault's row, what counts as found, what the page says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import insights
from benchmarks.insights import Baseline, Faults, Finding, Measured

FAULTS = pd.DataFrame(
    {
        "nim": ["A", "B"],
        "kind": ["stop", "proxy"],
        "partner": [None, "D"],
        "since": pd.to_datetime(["2024-05-13 01:00", "2024-05-13 01:00"]),
        "until": pd.to_datetime(["2024-05-25 05:00", "2024-05-25 05:00"]),
    }
)


def rows(*asked: tuple[str, str]) -> pd.DataFrame:
    nims, cutoffs = zip(*asked, strict=True)
    return pd.DataFrame({"nim": nims, "cutoff": pd.to_datetime(list(cutoffs))})


def test_a_row_is_of_a_fault_where_half_of_it_lies_in_its_window() -> None:
    marked = insights.mark(
        rows(
            ("A", "2024-06-03"),  # five of twelve days: neither
            ("B", "2024-05-20"),  # seven of twelve
            ("A", "2024-05-13"),  # before it began
            ("A", "2024-05-27"),  # all of it
            ("C", "2024-05-27"),
            ("A", "2024-06-10"),  # long over
            ("D", "2024-05-27"),  # beside whom B signed in
        ),
        FAULTS,
    )
    assert marked["nim"].tolist() == ["A", "B", "A", "A", "C", "A", "D"]
    assert marked["aside"].tolist() == [True, *[False] * 5, True]
    assert [None if pd.isna(kind) else kind for kind in marked["kind"]] == [
        *(None, "proxy", None, "stop", None, None, None)
    ]
    assert marked["fault"].iloc[3] == 0
    assert marked["fault"].iloc[1] == 1


def test_a_fault_is_found_where_any_of_its_rows_is_flagged() -> None:
    marked = insights.mark(
        rows(("A", "2024-05-20"), ("A", "2024-05-27"), ("B", "2024-05-27"), ("C", "2024-05-27")),
        FAULTS,
    )
    flagged = {
        insights.OWN: np.array([False, True, False, True]),
        insights.ROBUST: np.array([False, False, False, True]),
    }
    found = {each.kind: each for each in insights.by_kind("x", "demo", marked, flagged, "flagged")}
    assert {kind: (each.number, each.found, each.baseline) for kind, each in found.items()} == {
        "all faults": (2, 0.5, 0.0),
        "proxy": (1, 0.0, 0.0),
        "stop": (1, 1.0, 0.0),
    }
    assert (found["all faults"].right, found["all faults"].baseline_right) == (0.5, 0.0)
    alone = insights.by_kind("x", "demo", marked, {insights.OWN: flagged[insights.OWN]}, "flagged")
    assert alone[0].baseline is None


def test_a_week_lists_its_most_unusual_rows_and_one_always_may_be() -> None:
    cutoffs = pd.Series(["a"] * 4 + ["b"] * 4 + ["c"])
    said = {
        "z": np.array([1.0, 3.0, 2.0, 2.5, 9.0, 1.0, 1.0, 1.0, 5.0]),
        "flagged": np.array([0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
    }
    assert insights.bounded(cutoffs, said, 0.5).tolist() == [
        *(False, True, False, True),
        *(False, False, False, False),
        True,
    ]


@pytest.mark.parametrize(
    ("value", "own", "greater", "skill"),
    [
        (4.0, 3.0, False, 0.25),
        (0.6, 0.7, True, 0.25),
        (4.0, 5.0, False, -0.25),
        (0.0, 1.0, False, 0),
    ],
)
def test_skill_is_the_share_of_the_error_that_goes(
    value: float, own: float, greater: bool, skill: float
) -> None:
    found = insights.better_by(Baseline("naive", value, own), greater_is_better=greater)
    assert found == pytest.approx(skill)


def test_data_that_is_not_there_is_said_and_not_measured(tmp_path: Path) -> None:
    measured = insights.on_real_data(tmp_path)
    assert not measured.findings
    assert len(measured.missing) == len(insights.REAL)
    assert (
        "`enrolment_forecast` on uiuc_enrolment: not measured, no files in" in measured.missing[0]
    )


def test_the_page_of_oulad_is_read() -> None:
    found = insights.oulad_findings(
        "| day | model | students | withdraw | ROC AUC | PR AUC | Brier | calibration error |\n"
        "| 30 | champion | 6,506 | 20.3% | 0.702 | 0.371 | 0.1493 | 0.0397 |\n"
        "| 30 | plain gradient boosting | 6,506 | 20.3% | 0.692 | 0.365 | 0.1502 | 0.0377 |\n"
        "| 30 | 1 | 0.051 | 0.068 |\n"
    )
    (only,) = found
    assert (only.rows, only.value) == (6506, 0.702)
    assert only.baselines == (Baseline("plain gradient boosting", 0.692, 0.702),)
    page = (Path(insights.__file__).parent / "oulad.md").read_text(encoding="utf-8")
    assert insights.oulad_findings(page)


def test_the_page_says_every_figure_and_what_is_missing() -> None:
    text = insights.page(
        Measured(
            [
                Finding(
                    *("enrolment", "demo", 66, "mae", 3.5),
                    greater_is_better=False,
                    baselines=(Baseline("last value", 4.0, 3.0),),
                    interval={"promised": 0.8, "coverage": 0.75, "width": 12.0},
                    note="promoted",
                ),
                Finding("alone", "demo", 7, "flagged_share", 0.02, greater_is_better=False),
            ],
            [Faults("attendance", "demo", "stop", 4, 0.75, None, "flagged", 0.5)],
            ["`x` on y: not measured"],
        ),
        1.0,
    )
    assert "| enrolment | demo | 66 | mae | **3.5** | last value | 4 | 3 | +25% |" in text
    assert "| alone | demo | 7 | flagged_share | **0.02** | - | - | - | - |" in text
    assert "| enrolment | demo | 80% | 75.0% | 12.0 |" in text
    assert "| attendance | demo | stop | 4 | 75% | - | 50% | - | flagged |" in text
    assert "- `x` on y: not measured" in text
    assert "- `enrolment`, demo: promoted" in text
    assert "- nowhere" in text


def test_a_baseline_that_is_as_good_is_named() -> None:
    finding = Finding(
        *("enrolment", "demo", 66, "mae", 4.0),
        greater_is_better=False,
        baselines=(Baseline("last value", 4.0, 4.0), Baseline("drift", 5.0, 4.0)),
    )
    (only,) = insights.worse([finding])
    assert "last value is as good or better (mae 4, the version 4)" in only
