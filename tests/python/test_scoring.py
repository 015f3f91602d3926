"""Scoring: the right rows, only for what changed, read back from the audit branch."""

import json
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scoring_world import (
    FEATURES,
    FIRST,
    LATER,
    NAME,
    TABLE,
    World,
    copy_store,
    home,
    use_home,
)

from ml import lake, registry, scoring
from ml.core.errors import InsighteraError
from ml.features.model_input import frame
from ml.tasks.explain import contributions

__all__ = ["home"]

COLUMNS = [
    "nim",
    "nama_mahasiswa",
    "prodi_nama",
    "angkatan",
    "risk_score",
    "dropout_probability",
    "risk_category",
    "predicted_dropout",
    "contributing_factors",
    "feature_timestamp",
    "feature_hash",
    "model_name",
    "model_version",
    "inference_type",
    "run_id",
    "prediction_timestamp",
    "prediction_date",
]


def current_features(world: World, as_of: datetime) -> pa.Table:
    """Each student's features at `as_of`, by plain SQL, ordered by nim."""
    return world.connection.sql(
        f"""
        select
            nim, gpa_cumulative, credits, is_working, academic.trend as academic__trend, clicks_7d,
            jalur, greatest(academic.feature_timestamp, engagement.feature_timestamp) as newest
        from academic join engagement using (nim, valid_from)
        where valid_from <= timestamp '{as_of}' and academic.valid_to > timestamp '{as_of}'
        order by nim
        """
    ).to_arrow_table()


@pytest.mark.usefixtures("home")
def test_rows_are_those_of_the_issue() -> None:
    world = World()
    rows = world.score(FIRST, "run-1").sort_by("nim")
    assert rows.column_names == COLUMNS
    types = {name: str(rows.schema.field(name).type) for name in COLUMNS}
    assert types["risk_score"] == types["dropout_probability"] == "double"
    assert types["predicted_dropout"] == "bool"
    assert types["prediction_date"] == "date32[day]"
    assert types["prediction_timestamp"] == types["feature_timestamp"] == "timestamp[us]"

    held = current_features(world, FIRST)
    assert rows["nim"].to_pylist() == held["nim"].to_pylist()  # everyone once, and not `gone`
    champion = registry.champion(NAME)
    assert champion is not None
    expected = champion.pipeline.predict_proba(frame(held, FEATURES))[:, 1]
    found = rows["dropout_probability"].to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(rows["risk_score"].to_numpy(), 100 * found, atol=1e-3)
    categories = np.select([found >= 0.6, found >= 0.3], ["High", "Medium"], "Low")
    assert rows["risk_category"].to_pylist() == categories.tolist()
    assert set(categories) == {"Low", "Medium", "High"}
    assert rows["predicted_dropout"].to_pylist() == (found >= 0.5).tolist()
    assert rows["feature_timestamp"].to_pylist() == held["newest"].to_pylist()
    assert len(held) / 2 < len(set(rows["feature_hash"].to_pylist())) <= len(held)
    one = rows.slice(0, 1).to_pylist()[0]
    assert one["nama_mahasiswa"] == 'Mahasiswa "0"'
    assert (one["prodi_nama"], one["angkatan"]) == ("Prodi 0", 2020)
    assert (one["model_name"], one["model_version"]) == (NAME, "1")
    assert (one["run_id"], one["inference_type"]) == ("run-1", "full")
    assert (one["prediction_timestamp"], one["prediction_date"]) == (FIRST, date(2024, 2, 1))


@pytest.mark.usefixtures("home")
def test_factors_are_the_five_strongest_with_their_values() -> None:
    world = World(60)
    rows = world.score(FIRST, "run-1").sort_by("nim")
    held = current_features(world, FIRST)
    shares = contributions(registry.champion(NAME), frame(held, FEATURES))
    missing = 0
    for factors, values, share in zip(
        rows["contributing_factors"].to_pylist(), held.to_pylist(), shares, strict=True
    ):
        told = json.loads(factors)
        strongest = sorted(np.abs(share), reverse=True)[:5]
        assert [abs(entry["contribution"]) for entry in told] == pytest.approx(strongest, abs=1e-6)
        for entry in told:
            assert entry["value"] == values[entry["feature"]]
            missing += entry["value"] is None
            position = FEATURES.index(entry["feature"])
            assert entry["contribution"] == pytest.approx(share[position], abs=1e-6)
    assert missing  # a missing value is null, not NaN, which is no JSON


@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 8)), elements=st.floats(-9, 9))
)
def test_strongest_is_the_largest_first_and_independent_of_other_rows(shares: np.ndarray) -> None:
    top, values = scoring.strongest(shares, 5)
    for row, (positions, found) in enumerate(zip(top, values, strict=True)):
        assert list(np.abs(found)) == sorted(np.abs(shares[row]), reverse=True)[:5]
        assert found.tolist() == shares[row][positions].tolist()
        alone, _ = scoring.strongest(shares[row : row + 1], 5)
        assert alone[0].tolist() == positions.tolist()


@pytest.mark.usefixtures("home")
def test_only_what_changed_is_scored_and_as_a_full_run_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    first = {row["nim"]: row for row in world.run(FIRST, "run-1").to_pylist()}
    changed = world.score(LATER, "run-2").sort_by("nim")
    before, after = current_features(world, FIRST), current_features(world, LATER)
    differs = [
        old["nim"]
        for old, new in zip(before.to_pylist(), after.to_pylist(), strict=True)
        if {**old, "newest": 0} != {**new, "newest": 0}
    ]
    assert 0 < len(differs) < len(before) / 5
    written = changed["nim"].to_pylist()
    assert set(written) <= set(differs)
    assert len(written) > len(differs) / 2
    assert set(changed["inference_type"].to_pylist()) == {"incremental"}

    copy_store(tmp_path / "other")
    use_home(tmp_path / "other", monkeypatch)
    full = {row["nim"]: row for row in world.score(LATER, "run-2").to_pylist()}
    assert len(full) == len(after)
    for row in changed.to_pylist():
        assert row == {**full[row["nim"]], "inference_type": "incremental"}
    for nim in set(full) - set(written):  # unchanged, or to the same answer
        assert first[nim]["dropout_probability"] == full[nim]["dropout_probability"]


@pytest.mark.usefixtures("home")
def test_same_build_again_writes_nothing() -> None:
    world = World()
    first = world.run(FIRST, "run-1")
    refs, kept = lake.refs(TABLE), lake.snapshots(TABLE)
    again = world.score(FIRST, "run-2")
    assert again.num_rows == 0
    assert again.schema == first.schema
    assert (lake.refs(TABLE), lake.snapshots(TABLE)) == (refs, kept)
    assert world.publish(FIRST, "run-2", again).equals(first)
    (receipt,) = world.receipts(FIRST, "run-2").to_pylist()
    assert receipt["rows"] == receipt["population"] == receipt["computed"] > 0


def test_with_nothing_to_score_neither_model_nor_shap_is_loaded(home: Path) -> None:
    World().run(FIRST, "run-1")
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from scoring_world import FIRST, World
rows = World().score(FIRST, "run-2")
loaded = [name for name in ("shap", "ml.tasks.estimators", "ml.tasks.explain") if name in sys.modules]
print("rows", rows.num_rows, "loaded", loaded)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "rows 0 loaded []"
    assert home.is_dir()


@pytest.mark.usefixtures("home")
def test_new_champion_scores_everyone_and_so_does_one_that_returns() -> None:
    world = World(50)
    first = world.run(FIRST, "run-1")
    registry.promote(NAME, "2", "better")
    second = world.score(FIRST, "run-2")
    assert second.num_rows == 50
    assert set(second["inference_type"].to_pylist()) == {"full"}
    published = world.publish(FIRST, "run-2", second)
    assert published.num_rows == 50
    assert set(published["model_version"].to_pylist()) == {"2"}
    assert published["dropout_probability"].to_pylist() != first["dropout_probability"].to_pylist()
    assert world.score(FIRST, "run-3").num_rows == 0

    registry.promote(NAME, "1", "back")
    # at the same instant version 1 has spoken: one row per student, instant and version
    assert world.score(FIRST, "run-4").num_rows == 0
    back = world.run(LATER, "run-5")
    assert set(back["model_version"].to_pylist()) == {"1"}
    everything = lake.read_table(TABLE).select(["nim", "prediction_timestamp", "model_version"])
    assert len({tuple(row.values()) for row in everything.to_pylist()}) == everything.num_rows


def test_without_champion_nothing_happens_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_home(tmp_path, monkeypatch)
    world = World(20)
    rows = world.score(FIRST, "run-1")
    assert rows.num_rows == 0
    assert rows.column_names == COLUMNS
    assert "no champion" in capsys.readouterr().out
    published = world.publish(FIRST, "run-1", rows)
    assert published.num_rows == 0
    assert published.schema == rows.schema
    assert world.receipts(FIRST, "run-1").num_rows == 0
    assert lake.tables() == []


@pytest.mark.usefixtures("home")
def test_batches_do_not_show_in_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(50)
    small = world.score(FIRST, "run-1", batch_rows=7).sort_by("nim")
    own = [entry for entry in lake.snapshots(TABLE).values() if entry.rows]
    assert [entry.rows for entry in own] == [7] * 7 + [1]
    copy_store(tmp_path / "other")
    use_home(tmp_path / "other", monkeypatch)
    assert world.score(FIRST, "run-1").sort_by("nim").equals(small)


@pytest.mark.usefixtures("home")
def test_earlier_instant_sees_only_predictions_before_it() -> None:
    world = World(50)
    world.run(LATER, "run-1")
    early = world.run(FIRST, "run-2")  # a replay reaches further back than what is published
    assert early.num_rows == 50
    assert set(early["prediction_timestamp"].to_pylist()) == {FIRST}
    late = world.run(LATER, "run-3")
    assert set(late["prediction_timestamp"].to_pylist()) == {LATER}
    assert lake.read_table(TABLE).num_rows == 100


@pytest.mark.usefixtures("home")
def test_student_without_attributes_is_scored_without_them() -> None:
    world = World(20)
    world.connection.execute("delete from dim where nim = 'S3'")
    rows = {row["nim"]: row for row in world.score(FIRST, "run-1").to_pylist()}
    assert len(rows) == 20
    assert rows["S3"]["nama_mahasiswa"] is None
    assert rows["S3"]["dropout_probability"] is not None


@pytest.mark.usefixtures("home")
def test_several_rows_of_attributes_are_an_error_that_publishes_nothing() -> None:
    world = World(20)
    world.connection.execute("insert into dim from dim where nim = 'S3'")
    with pytest.raises(InsighteraError, match="one row per entity"):
        world.score(FIRST, "run-1")
    assert not lake.exists(TABLE)


@pytest.mark.usefixtures("home")
def test_feature_that_is_gone_is_named() -> None:
    world = World(20)
    world.connection.execute("alter table academic drop credits")
    with pytest.raises(InsighteraError, match=r"student_dropout.*credits.*academic, engagement"):
        world.score(FIRST, "run-1")


@pytest.mark.usefixtures("home")
def test_missing_number_is_a_value_of_its_own() -> None:
    world = World(20)
    before = {row["nim"]: row["feature_hash"] for row in world.score(FIRST, "run-1").to_pylist()}
    world.connection.execute("update academic set credits = null where nim = 'S4'")
    world.connection.execute("update academic set trend = null where nim = 'S5'")
    after = {row["nim"]: row["feature_hash"] for row in world.score(FIRST, "run-2").to_pylist()}
    assert {nim for nim in before if before[nim] != after[nim]} == {"S4", "S5"}


@pytest.mark.usefixtures("home")
def test_column_the_model_does_not_read_changes_nothing() -> None:
    world = World(20)
    world.run(FIRST, "run-1")
    world.connection.execute("alter table engagement add column novel integer default 5")
    world.connection.execute("update engagement set trend = trend + 1, feature_hash = 'other'")
    assert world.score(FIRST, "run-2").num_rows == 0


@pytest.mark.usefixtures("home")
def test_in_a_transaction_of_dbt() -> None:
    from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

    world = World(20)
    session = DuckDBCursorWrapper(world.connection.cursor())
    session.execute("begin")

    def ref(name: str) -> object:
        return session.query(f"select * from {name}")

    world.connection.register("build", world.build(FIRST, "run-1").to_arrow_table())
    rows = scoring.score(
        NAME,
        build=world.connection.table("build"),
        spine=ref("label"),
        features={"academic": ref("academic"), "engagement": ref("engagement")},
        attributes=ref("dim"),
        connection=session,
    )
    session.execute("commit")
    assert rows.num_rows == 20
