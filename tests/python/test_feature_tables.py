"""The four invariants of feature tables, each by one test over every table of `models/features/`, over real builds
(design §4).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import oracles
import pandas as pd
import pytest
from conftest import LATER as END
from conftest import UNTESTED, SparkUniversity, University, rewrite
from oracles import TABLES, Extracts, FeatureTable

from ml.core.errors import InsighteraError
from ml.core.macros import rendered

pytestmark = pytest.mark.slow

STEPS = [
    "2023-10-02",
    "2023-10-03",
    "2023-11-15 13:00:00",
    "2024-02-29",
    "2024-03-16",
    "2024-03-19 23:00:00",
]
EARLIER = datetime(2023, 11, 15, 13)  # one of them
FEATURES = ("--select", "+path:models/features")
TESTED = (
    "--exclude",
    "resource_type:test,path:models/staging",
    "resource_type:test,path:models/gold",
)
BOUNDARY = datetime(2024, 1, 15)  # rows recorded from here on are changed, below
IS_LATER = f"recorded_at >= timestamp '{BOUNDARY}'"
# What is changed of the raw rows recorded from BOUNDARY on: each feature table must read some of it.
CHANGED = {
    "presensi/kehadiran_mahasiswa": {
        "status_kehadiran": "if(hash(nim) % 2 = 0, 'alpa', status_kehadiran)",
        "recorded_at": "recorded_at + interval 7 minute",
        "loaded_at": "loaded_at + interval 7 minute",
    },
    "lms/aktivitas": {"jumlah_klik": "jumlah_klik * 7 + 1"},
    "lms/pengumpulan": {"skor": "1"},
    "siakad/nilai": {"bobot": "0"},
    "siakad/mahasiswa": {"jalur_masuk": "'Z'", "status": "'dropout'"},
    "siakad/mata_kuliah": {"sks": "1"},
    "siakad/krs": {"status_krs": "'batal'"},
    "siakad/registrasi_prodi": {"jumlah_aktif": "jumlah_aktif * 3"},
}
# Tables with keys, of which what was known long before gets a later version.
ADDED = {
    "siakad/nilai": "nim, kode_mk, semester",
    "siakad/mata_kuliah": "kode_mk",
    "siakad/krs": "nim, kode_mk, semester",
    "lms/tugas": "id_tugas",
}
# Tables that some, by this column, vanish from.
DROPPED = {
    "lms/aktivitas": "nim",
    "presensi/kehadiran_mahasiswa": "nim",
    "siakad/registrasi_prodi": "kode_prodi",
}

Frames = Mapping[str, pd.DataFrame]

each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
on_duckdb = pytest.mark.parametrize("made", ["duckdb"], indirect=True)


@pytest.fixture(scope="module", params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], University]:
    """Makes a fresh home over a raw folder, for the engine that the tests run on."""
    kind = SparkUniversity if request.param == "spark" else University

    def make(raw: Path) -> University:
        folder = tmp_path_factory.mktemp("features")
        return kind(folder / "home", raw, folder / "target")

    return make


def built(here: University, as_of: object) -> Frames:
    """Every feature table as one more build leaves it."""
    here.build(*FEATURES, *UNTESTED, as_of=str(as_of))
    return frames(here)


def frames(here: University) -> Frames:
    """Every feature table, in order."""
    return {
        table.name: here.frame(
            f"select * from features.{table.name} "
            f"order by {', '.join(table.keys)}, valid_from, system_to"
        )
        for table in TABLES
    }


@pytest.fixture(scope="module")
def in_one_go(late_raw: Path, made: Callable[[Path], University]) -> Frames:
    """Everything built at END, from nothing."""
    return built(made(late_raw), END)


@pytest.fixture(scope="module")
def stepped(
    request: pytest.FixtureRequest, late_raw: Path, made: Callable[[Path], University]
) -> University:
    """The same in several steps; on Spark, where a build is long, in the two of `engines`."""
    here = made(late_raw)
    if isinstance(here, SparkUniversity):
        return request.getfixturevalue("engines")[1]
    for as_of in STEPS:
        here.build(*FEATURES, *UNTESTED, as_of=as_of)
    here.build(*FEATURES, *TESTED, as_of=str(END))
    return here


@pytest.fixture(scope="module")
def stepwise(stepped: University) -> Frames:
    """The tables at the last step."""
    return frames(stepped)


@dataclass(frozen=True)
class Afterwards:
    """What further builds say and leave: again at END, and at EARLIER."""

    said: str
    again: Frames
    back: Frames


@pytest.fixture(scope="module")
def afterwards(stepped: University, stepwise: Frames) -> Afterwards:  # noqa: ARG001 - before these
    said = stepped.build(*FEATURES, *UNTESTED, as_of=str(END))
    again = frames(stepped)
    return Afterwards(said, again, built(stepped, EARLIER))


@pytest.fixture(scope="module")
def then(late_raw: Path, made: Callable[[Path], University]) -> Frames:
    """A build from nothing at EARLIER."""
    return built(made(late_raw), EARLIER)


@pytest.fixture(scope="module")
def changed_later(
    late_raw: Path, made: Callable[[Path], University], tmp_path_factory: pytest.TempPathFactory
) -> Frames:
    """In one go, where rows recorded from BOUNDARY on are others: changed, added or dropped."""
    changed = tmp_path_factory.mktemp("later") / "changed"
    for name, changes in CHANGED.items():
        others = (f"if({IS_LATER}, {new}, {old}) as {old}" for old, new in changes.items())
        rewrite(late_raw, changed, name, f"select * replace ({', '.join(others)}) from rows")
    shift = f"timestamp '{BOUNDARY}' + interval 1 hour"
    times = ", ".join(f"{shift} as {column}" for column in ("recorded_at", "loaded_at"))
    for name, key in ADDED.items():
        rewrite(
            changed,
            changed,
            name,
            f"select * from rows union all by name (select distinct on ({key}) * replace ({times}) "
            f"from rows where not {IS_LATER} order by {key})",
        )
    # dropped: some students and programmes vanish from the future altogether
    for name, column in DROPPED.items():
        kept = f"select * from rows where not ({IS_LATER} and hash({column}) % 3 = 0)"
        rewrite(changed, changed, name, kept)
    return built(made(changed), END)


def believed(made: Frames, table: FeatureTable, until: datetime | None = None) -> pd.DataFrame:
    """The versions believed now, cut to what is valid before `until`."""
    frame = made[table.name]
    frame = frame[frame.system_to >= datetime(9999, 1, 1)].drop(columns="is_current")
    if until is not None:
        frame = frame[frame.valid_from < until]
        frame = frame.assign(valid_to=frame.valid_to.clip(upper=until))
    return frame.reset_index(drop=True)


def believed_at(made: Frames, table: FeatureTable, instant: datetime) -> pd.DataFrame:
    """Keys and digests of what was believed, at that instant, to be valid then."""
    frame = made[table.name]
    held = (frame.valid_from <= instant) & (frame.valid_to > instant)
    known = (frame.system_from < instant) & (frame.system_to >= instant)
    return frame[held & known][[*table.keys, "feature_hash"]].reset_index(drop=True)


@each_table
def test_versions_are_whole(table: FeatureTable, in_one_go: Frames, stepwise: Frames) -> None:
    """Invariant 1: no overlap and no gap, in what is believed and in what was."""
    faults = rendered(
        "duckdb",
        "history/end_of_time",
        "feature_table/feature_same_entity",
        "feature_table/feature_audit_columns",
        "feature_table/feature_faults_sql",
    ).feature_faults_sql("versions", list(table.keys))
    for versions in (in_one_go[table.name], stepwise[table.name]):
        assert len(versions)
        with duckdb.connect() as connection:
            connection.register("versions", versions)
            assert connection.execute(str(faults)).fetchall() == []


@each_table
def test_steps_agree_with_one_go(table: FeatureTable, in_one_go: Frames, stepwise: Frames) -> None:
    """Invariant 2: built in any steps up to T, rows loaded late included, the beliefs of now agree."""
    pd.testing.assert_frame_equal(believed(stepwise, table), believed(in_one_go, table))


@on_duckdb
@each_table
def test_the_steps_met_late_rows(table: FeatureTable, stepwise: Frames) -> None:
    """Otherwise invariant 2 would show nothing of them; a table that ignores late rows has no corrections."""
    corrected = (stepwise[table.name].system_to < datetime(9999, 1, 1)).any()
    if not table.takes_late_rows:
        assert not corrected, f"{table.name} ignores late rows, and one has corrected it."
    else:
        assert corrected, (
            f"{table.name}: no late row corrects it in the steps. Have the fixture `late_raw` "
            "(tests/python/conftest.py) make one."
        )


@on_duckdb
@each_table
def test_beliefs_of_a_step_are_those_of_a_build_then(
    table: FeatureTable, stepwise: Frames, then: Frames
) -> None:
    beliefs = believed_at(stepwise, table, EARLIER)
    assert len(beliefs)
    current = then[table.name][then[table.name].is_current]
    pd.testing.assert_frame_equal(
        beliefs, current[[*table.keys, "feature_hash"]].reset_index(drop=True)
    )


@on_duckdb
@each_table
def test_the_same_build_again_does_nothing_and_an_earlier_one_goes_back(
    table: FeatureTable, stepwise: Frames, afterwards: Afterwards, then: Frames
) -> None:
    assert afterwards.said.count("UP TO DATE") >= len(TABLES)
    pd.testing.assert_frame_equal(afterwards.again[table.name], stepwise[table.name])
    pd.testing.assert_frame_equal(believed(afterwards.back, table), believed(then, table))


@on_duckdb
def test_a_version_that_no_late_row_touched_is_believed_at_its_own_midnight(
    stepwise: Frames,
) -> None:
    versions = stepwise["features_mahasiswa_engagement"]
    assert (versions.system_from < versions.valid_from).mean() > 0.5


@each_table
def test_future_rows_change_nothing(
    table: FeatureTable, in_one_go: Frames, changed_later: Frames
) -> None:
    """Invariant 3: rows recorded at or after t, changed, dropped or added, leave what is valid before t alone."""
    pd.testing.assert_frame_equal(
        believed(changed_later, table, BOUNDARY), believed(in_one_go, table, BOUNDARY)
    )
    assert not believed(changed_later, table).equals(believed(in_one_go, table)), (
        f"{table.name}: no row that it reads was changed. Add a raw table of its to CHANGED, here."
    )


@pytest.fixture(scope="module")
def extracts(late_raw: Path) -> Extracts:
    """What the oracles read: each raw table once."""
    return Extracts(late_raw, END)


@each_table
def test_oracle_agrees(table: FeatureTable, in_one_go: Frames, extracts: Extracts) -> None:
    """Invariant 4: a brute-force oracle agrees, in every feature, and each takes several values."""
    versions = believed(in_one_go, table)
    oracles.assert_varies(table, versions)
    oracles.assert_agrees(oracles.oracle_of(table, extracts), table, versions, END)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"inputs": []}, "inputs is missing"),
        ({"entity_key": "nim"}, "entity_key is no setting"),
        ({"inputs": [{"window_days": 7}]}, "input 1 (without fact): fact is missing"),
        ({"inputs": [{"fact": "f", "windows_days": 7}]}, "input 1 (f): windows_days is no setting"),
        ({"inputs": [{"fact": "f", "window_days": "7d"}]}, "window_days: 7d is no number of days"),
        ({"inputs": [{"fact": "f", "late_rows": "counted"}]}, "late_rows: counted means nothing"),
    ],
)
def test_a_misspelt_setting_is_refused(wrong: dict, said: str) -> None:
    """It would count as its default, and the table would miss what moves it."""

    def refuse(message: str) -> None:
        raise InsighteraError(message)

    checked = rendered(
        "duckdb",
        "feature_table/assert_feature_settings",
        exceptions={"raise_compiler_error": refuse},
        this={"identifier": "features_x"},
    ).assert_feature_settings
    right = {"fact": "f", "window_days": 7, "late_rows": "ignored"}
    checked({"entity_keys": ["nim"], "inputs": [right]})
    with pytest.raises(InsighteraError, match="features_x") as error:
        checked({"entity_keys": ["nim"], "inputs": [right], **wrong})
    assert said in str(error.value)
