"""An anomaly's score means the same in every build, and says why."""

import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from benchmarks import insights_attendance
from ml.core.errors import InsighteraError
from ml.core.sql import identifiers
from ml.tasks import anomaly_measures, detecting, rates
from ml.tasks.detecting import Detector, Factor
from ml.tasks.splits import Hashes, TooLittleDataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KINDS = {
    "attendance": "number",
    "clicks": "number",
    "silence": "number",  # often missing
    "late": "number",  # hardly ever missing
    "jalur": "category",
    "campus": "number",  # constant
    "nothing": "number",  # never known
}
WORDS = {"attendance": ("Attendance, 7 days", "share")}
USUAL: Mapping[str, Any] = {
    "attendance": 0.93,
    "clicks": 55.0,
    "silence": None,
    "late": 1.0,
    "jalur": "tes",
    "campus": 1.0,
    "nothing": None,
}


def history(number: int, seed: int = 1) -> pd.DataFrame:
    """Usual weeks of students."""
    draw = np.random.default_rng(seed)
    late = draw.poisson(1.5, number).astype(float)
    late[draw.random(number) < 0.01] = np.nan
    return pd.DataFrame(
        {
            "attendance": draw.beta(12, 1, number),
            "clicks": draw.gamma(4, 15, number),
            "silence": np.where(draw.random(number) < 0.4, np.nan, draw.normal(5, 1, number)),
            "late": late,
            "jalur": draw.choice(["tes", "rapor", None], number, p=[0.6, 0.39, 0.01]),
            "campus": 1.0,
            "nothing": np.nan,
        }
    )


def hashes(number: int, rows_each: int = 4) -> Hashes:
    each = np.random.default_rng(9).integers(0, 2**63, number // rows_each + 1).astype(np.uint64)
    return np.repeat(each, rows_each)[:number]


def week(**values: Any) -> pd.DataFrame:
    return pd.DataFrame([{**USUAL, **values}], columns=list(KINDS))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(KINDS, flagged_share=0.02).fit(history(6000), hashes(6000))


def test_at_most_the_stated_share_of_usual_rows_is_flagged(detector: Detector) -> None:
    flagged = detector.answers(history(20_000, seed=2))["flagged"].mean()
    assert 0.01 < flagged < 0.025
    assert 0.01 < detector.baseline(history(20_000, seed=2))["flagged"].mean() < 0.025


def test_a_score_of_90_is_reached_by_a_tenth(detector: Detector) -> None:
    said = detector.answers(history(20_000, seed=3))
    assert (said["score"] >= 90).mean() == pytest.approx(0.1, abs=0.02)
    assert (said["score"] >= 50).mean() == pytest.approx(0.5, abs=0.05)
    assert np.allclose(said["score"], 100 * (1 - said["tail"]), atol=1e-5)
    assert detecting.deviates(np.array([0.5, 0.022750132])) == pytest.approx([0.0, 2.0])


def test_who_else_is_scored_changes_no_score(detector: Detector) -> None:
    rows = history(500, seed=4)
    alone = detector.answers(rows)
    odd = week(attendance=0.0, clicks=9999.0)
    odd = pd.concat([odd.astype(rows.dtypes)] * 300)
    together = detector.answers(pd.concat([odd, rows]))
    assert np.array_equal(alone["score"], together["score"][300:])


def test_the_same_rows_in_another_order_give_the_same_detector(detector: Detector) -> None:
    order = np.lexsort((np.arange(6000), -hashes(6000).astype(np.float64)))
    again = Detector(KINDS, 0.02).fit(history(6000).iloc[order], hashes(6000)[order])
    rows = history(300, seed=5)
    assert np.array_equal(detector.decision(rows), again.decision(rows))
    loaded = pickle.loads(pickle.dumps(detector))
    assert np.array_equal(loaded.decision(rows), detector.decision(rows))


def test_what_is_missing_is_no_anomaly_by_itself(detector: Detector) -> None:
    usual = detector.answers(week())["score"][0]
    for name in ("silence", "late", "nothing", "jalur"):
        assert not detector.answers(week(**{name: None}))["flagged"][0]
    rare = detector.answers(week(late=None))["score"][0]
    assert rare == pytest.approx(usual, abs=15)


def test_the_worst_are_told_apart_beyond_the_last_row_of_history() -> None:
    calibration = np.sort(np.random.default_rng(1).exponential(size=1000))
    last = calibration[-1]
    tails = detecting.tail(np.array([last, last + 1, last + 2, 1e9]), calibration)
    assert tails[0] == pytest.approx(2 / 1001)
    assert np.all(np.diff(tails) < 0)
    assert tails[3] == detecting.LEAST_TAIL
    # an exponential tail thins out by e with each unit
    assert tails[1] / tails[2] == pytest.approx(np.e, rel=0.2)
    assert detecting.tail(np.zeros(1), np.zeros(100)) == pytest.approx([1.0])


def test_the_column_that_stands_out_leads(detector: Detector) -> None:
    rows = pd.concat([week(attendance=0.1), week(clicks=900.0), week(jalur="unheard of")])
    shares = detector.contributions(rows)
    leading = detector.leading(rows, shares)
    assert [detector.features[position] for position in leading] == [
        "attendance",
        "clicks",
        "jalur",
    ]
    types = detecting.anomaly_types(detector.features, leading, {"attendance": "absence"})
    assert types == ["absence", "clicks", "jalur"]
    assert np.all(shares[:, [detector.features.index(n) for n in ("campus", "nothing")]] == 0)
    first, second, third = detector.factors(rows, shares)
    assert len(first) == 5
    assert first[0].is_outside
    assert [factor.contribution for factor in first] == sorted(
        (factor.contribution for factor in first), reverse=True
    )
    said = detecting.explanation(first, lambda name: WORDS.get(name, (name, "")))
    assert said.startswith("Attendance, 7 days: 10 % (usually 78 to 100 %)")
    assert detecting.explanation(second).startswith("clicks: 900 (usually ")
    assert "jalur: unheard of, which is rare" in detecting.explanation(third)


def test_only_what_is_flagged_is_put_in_words(detector: Detector) -> None:
    rows = pd.concat([week(), week(attendance=0.1)])
    flagged = detector.answers(rows)["flagged"]
    kinds, reasons = detector.words(rows, flagged, {"attendance": "absence"})
    assert kinds == [None, "absence"]
    assert reasons[0] is None
    assert reasons[1] is not None
    assert reasons[1].startswith("attendance: 0.10 (usually 0.7")
    assert detector.words(rows, flagged * 0) == ([None, None], [None, None])


def test_what_stands_out_only_together_is_said_so() -> None:
    within = [Factor("a", 1.0, 0.0, 2.0, 0.5), Factor("b", 3.0, 0.0, 4.0, 0.4)]
    assert detecting.explanation(within) == (
        "an unusual combination of a: 1 (usually 0 to 2); b: 3 (usually 0 to 4)"
    )
    assert detecting.explanation([Factor("a", 1.0, 0.0, 2.0, 0.0)]) == (
        "nothing alone: an unusual combination"
    )
    missing = Factor("a", None, 0.0, 2.0, 0.5)
    assert not missing.is_outside
    assert detecting.explanation([missing]) == "a: not recorded (usually 0 to 2)"


def test_usual_ranges_are_percentiles_of_what_was_learned(detector: Detector) -> None:
    usual = detector.usual()
    position = detector.features.index("attendance")
    low, high = np.quantile(history(6000)["attendance"], [0.05, 0.95])
    assert usual["usual_low"][position] == pytest.approx(low, abs=0.01)
    assert usual["usual_high"][position] == pytest.approx(high, abs=0.01)
    for name in ("jalur", "nothing"):
        assert usual["usual_low"][detector.features.index(name)] is None


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("sklearn.neighbors.LocalOutlierFactor", {"n_neighbors": 30}),
        ("sklearn.covariance.EllipticEnvelope", {}),
    ],
)
def test_other_detectors_speak_the_same(path: str, parameters: dict[str, Any]) -> None:
    kinds = {name: KINDS[name] for name in ("attendance", "clicks")}
    made = Detector(kinds, 0.05, path, parameters).fit(history(2000), hashes(2000))
    said = made.answers(pd.concat([week(), week(attendance=0.05, clicks=600.0)]))
    assert list(said["flagged"]) == [0.0, 1.0]
    assert made.answers(history(4000, seed=6))["flagged"].mean() < 0.08


def test_memory_is_bounded_by_whole_entities() -> None:
    entities = hashes(4000)
    taken = detecting.sampled(entities, 1000)
    assert 900 < taken.sum() <= 1000
    assert set(entities[taken]).isdisjoint(entities[~taken])
    made = Detector(KINDS, 0.05, max_rows=1000).fit(history(4000), entities)
    assert made.rows_ == taken.sum()


@pytest.mark.parametrize(
    ("path", "parameters", "said"),
    [
        ("sklearn.ensemble.RandomForestClassifier", {}, "not allowed"),
        ("sklearn.covariance.Nothing", {}, "No outlier detector"),
        ("sklearn.covariance.MinCovDet", {}, "nothing of new rows"),
        ("sklearn.ensemble.IsolationForest", {"trees": 3}, "no parameters"),
    ],
)
def test_what_is_no_detector_is_refused(path: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(InsighteraError, match=said):
        detecting.estimator(path, **parameters)


def test_too_little_history_says_what_is_missing() -> None:
    with pytest.raises(TooLittleDataError, match=r"to flag at most 1\.0% takes 50 and 99"):
        Detector(KINDS, 0.01).fit(history(100), hashes(100))
    with pytest.raises(TooLittleDataError, match="no feature varies"):
        Detector({"campus": "number"}, 0.05).fit(history(500), hashes(500))


def test_severity_is_that_of_the_greatest_bound_reached() -> None:
    bounds = {"Low": 0, "High": 99.5, "Medium": 99}
    found = detecting.severity(np.array([98.0, 99.0, 99.9, 99.9]), np.array([1, 1, 1, 0]), bounds)
    assert found == ["Low", "Medium", "High", None]
    assert detecting.unreached({"Low": 0, "Medium": 90, "High": 99}, 0.02) == ["Low"]
    assert detecting.unreached(bounds, 0.02) == []


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({}, "write a lower bound"),
        ({"Low": 1, "High": 99}, "lowest be 0"),
        ({"Low": 0, "High": 0}, "must differ"),
        ({"Low": 0, "High": 101}, "between 0 and 100"),
        ({"Low": 0, "High": "99"}, "between 0 and 100"),
    ],
)
def test_severities_that_make_no_sense_are_refused(bounds: Any, said: str) -> None:
    with pytest.raises(InsighteraError, match=said):
        detecting.check_severities("label_x.yml: meta.use_case.severities", bounds)


def test_an_anomaly_has_one_id_in_every_build_of_its_week() -> None:
    def ids(cutoff: str, period: str = "week", case: str = "a", keys: str = "nim") -> list[str]:
        sql = detecting.anomaly_id_sql(lambda *n: identifiers(n), case, keys.split(), period)
        rows = f"(values ('1', 'x', timestamp '{cutoff}'), ('2', 'x', timestamp '{cutoff}'))"
        return [
            row[0]
            for row in duckdb.sql(f"select {sql} from {rows} t(nim, kelas, cutoff)").fetchall()
        ]

    monday = ids("2024-03-11 00:00:00")
    assert len(set(monday)) == 2
    assert all(len(each) == 32 for each in monday)
    assert ids("2024-03-17 23:59:59") == monday
    others = [
        ids("2024-03-18 00:00:00"),
        ids("2024-03-11 00:00:00", "day", case="b"),
        ids("2024-03-11 00:00:00", keys="nim kelas"),
    ]
    assert len({*monday, *(each for other in others for each in other)}) == 8
    assert ids("2024-03-11 00:00:00", "day") != ids("2024-03-12 00:00:00", "day")
    with pytest.raises(InsighteraError, match="period"):
        ids("2024-03-11 00:00:00", "fortnight")


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("period", detecting.PERIODS)
def test_both_engines_say_the_same_id(spark_session: "SparkSession", period: str) -> None:
    rows = (
        "(select 'a\"b' as nim, 3 as seksi, timestamp '2024-12-31 23:59:59' as cutoff "
        "union all select 'c', 4, timestamp '2024-03-17 00:00:00')"
    )

    def query(quote: str) -> str:
        sql = detecting.anomaly_id_sql(
            lambda *names: ", ".join(f"{quote}{name}{quote}" for name in names),
            "attendance_anomaly",
            ["nim", "seksi"],
            period,
        )
        return f"select {sql} as id from {rows} as t order by id"

    on_spark = [row[0] for row in spark_session.sql(query("`")).collect()]
    assert on_spark == [row[0] for row in duckdb.sql(query('"')).fetchall()]


def test_found_at_a_share_counts_ties_by_chance() -> None:
    truth = np.array([True, True, False, False])
    assert anomaly_measures.found_at(truth, np.array([4.0, 1, 2, 3]), 0.5) == 0.5
    assert anomaly_measures.found_at(truth, np.ones(4), 0.5) == 0.5
    assert anomaly_measures.found_at(truth, np.array([4.0, 3, 2, 1]), 0.5) == 1.0
    assert np.isnan(anomaly_measures.found_at(~truth & truth, np.ones(4), 0.5))


def test_measures_with_and_without_truth() -> None:
    own, other = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])
    assert anomaly_measures.measure(own, other) == {"flagged_share": 0.5, "overlap": 0.5}
    truth = np.array([True, False, True, False])
    found = anomaly_measures.measure(own, other, truth, np.array([4.0, 3, 2, 1]))
    assert found["planted_found"] == 0.5
    assert found["precision"] == 0.5
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert anomaly_measures.overlap(own * 0, own * 0) == 1.0


def test_the_card_says_what_to_expect(detector: Detector) -> None:
    cutoffs = np.repeat(np.array(["2024-01-01", "2024-01-08"], "datetime64[us]"), 100)
    flagged = np.zeros(200)
    flagged[100:112] = 1
    periods = anomaly_measures.by_period(cutoffs, flagged)
    assert [(period.rows, period.flagged) for period in periods] == [(100, 0), (100, 12)]
    expected = anomaly_measures.expectation_section(periods, 0.02)
    assert "the worst of 2 was 2024-01-08 with 12.0% (12 of 100)" in expected
    assert "Over all weeks together it was 6.0%; of usual rows at most 2.0%" in expected
    assert "**Warning**: 6.0% is more than was meant" in expected
    assert "**Warning**: 12.0% is more than three times" in expected
    quiet = anomaly_measures.expectation_section(periods, 0.06)
    assert "**Warning**" not in quiet
    assert "No row of the past" in anomaly_measures.expectation_section([], 0.02)
    score = anomaly_measures.score_section(0.02, {"Low": 0, "Medium": 90, "High": 99})
    assert "flagged from a score of 98 on" in score
    assert "no flagged row can be Low" in score
    few = anomaly_measures.reviews_section(rates.reviewed(12, 7))
    assert "19 of the 20 reviews that it takes" in few
    assert "(12 confirmed, 7 false alarms)" in few
    many = anomaly_measures.reviews_section(rates.reviewed(18, 2))
    assert "of 20 reviewed, 90% were confirmed (70% to 97% at 95 %)" in many
    own = anomaly_measures.measure(flagged, flagged)
    assert "Not measurable" in anomaly_measures.planted_section(own, own)
    usual = anomaly_measures.usual_section(
        detector.features,
        detector.usual(),
        lambda name: WORDS.get(name, (name, "hours" if name == "clicks" else "")),
    )
    assert "| jalur | - | - |" in usual
    assert "| Attendance, 7 days | 78 % | 100 % |" in usual
    assert "| clicks (hours) | " in usual


def test_planted_faults_are_found_more_often_than_by_robust_z() -> None:
    draw = np.random.default_rng(3)
    rows = [
        (f"A/{presentation}", presentation, student, week, position, int(clicks))
        for presentation in ("2013J", "2014B")
        for student in range(120)
        for week in range(12)
        for position in draw.permutation(7)[: draw.integers(3, 6)]
        if (clicks := draw.gamma(3, 6) + 1)
    ]
    names = ["course", "presentation", "student", "week", "position", "clicks"]
    daily = pd.DataFrame(rows, columns=names)
    found = insights_attendance.evaluate_planted(daily, insights_attendance.FAULTS)
    again = insights_attendance.evaluate_planted(daily, insights_attendance.FAULTS)
    assert found == again
    by_name = {row["measure"]: row for row in found}
    assert by_name["average precision"]["value"] > 0.3
    assert by_name["all faults, found at 2% flagged"]["value"] > 0.5
