"""The invariants of the feature tables of study programmes and attendance habits, over real builds."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import oracles_domain
import pandas as pd
import pytest
from conftest import LATER as END
from conftest import UNTESTED, University, rewrite

from ml.core.macros import rendered

pytestmark = pytest.mark.slow

KEYS = {
    "features_program_studi_enrolment": "kode_prodi",
    "features_mahasiswa_attendance_habit": "nim",
}
TABLES = sorted(KEYS)
AUDIT = rendered("duckdb", "feature_table/feature_audit_columns").feature_audit_columns()
SELECTED = ("--select", *(f"+{table}" for table in TABLES))
STEPS = ("2023-10-02", "2023-10-04 13:00:00", "2024-02-29", "2024-03-19 23:00:00")
RAW = ("siakad/registrasi_prodi", "siakad/mahasiswa", "presensi/kehadiran_mahasiswa")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., University]:
    def make(raw: Path, *instants: str) -> University:
        folder = tmp_path_factory.mktemp("domain")
        here = University(folder / "home", raw, folder / "target")
        for as_of in instants:
            here.build(*SELECTED, *UNTESTED, as_of=as_of)
        return here

    return make


@pytest.fixture(scope="module")
def in_one_go(late_raw: Path, made: Callable[..., University]) -> University:
    return made(late_raw, str(END))


def believed(here: University, table: str, until: datetime | None = None) -> pd.DataFrame:
    """The versions believed now, cut to what is valid before `until`."""
    frame = here.frame(
        f"select * exclude (is_current) from features.{table} where system_to >= '9999-01-01' "
        f"order by {KEYS[table]}, valid_from"
    )
    if until is not None:
        frame = frame[frame.valid_from < until].reset_index(drop=True)
        frame["valid_to"] = frame.valid_to.clip(upper=until)
    return frame


def test_steps_agree_with_one_go(
    in_one_go: University, late_raw: Path, made: Callable[..., University]
) -> None:
    """Invariant 2."""
    stepwise = made(late_raw, *STEPS, str(END))
    for table in TABLES:
        pd.testing.assert_frame_equal(believed(stepwise, table), believed(in_one_go, table))


def test_future_rows_change_nothing(
    in_one_go: University, late_raw: Path, tmp_path: Path, made: Callable[..., University]
) -> None:
    """Invariant 3."""
    instant = datetime(2024, 1, 15)
    late = f"recorded_at >= timestamp '{instant}'"
    changed = tmp_path / "changed"
    future = {
        "siakad/registrasi_prodi": f"if({late}, jumlah_aktif * 3, jumlah_aktif) as jumlah_aktif",
        "siakad/mahasiswa": f"if({late}, 'dropout', status) as status",
        "presensi/kehadiran_mahasiswa": f"if({late}, 'alpa', status_kehadiran) as status_kehadiran",
    }
    for table, replacement in future.items():
        rewrite(late_raw, changed, table, f"select * replace ({replacement}) from rows")
    here = made(changed, str(END))
    for table in TABLES:
        pd.testing.assert_frame_equal(
            believed(here, table, instant), believed(in_one_go, table, instant), obj=table
        )
        assert not believed(here, table).equals(believed(in_one_go, table)), table


@pytest.mark.parametrize("table", TABLES)
def test_oracle_agrees(table: str, in_one_go: University, late_raw: Path) -> None:
    """Invariant 4, every column, on entities and days drawn at random."""
    world = {name: pd.read_parquet(late_raw / f"{name}.parquet") for name in RAW}
    world = {name: frame[frame.loaded_at < END] for name, frame in world.items()}
    oracle = getattr(oracles_domain, table)
    versions = believed(in_one_go, table)
    generator = random.Random(7)
    features = set(versions.columns) - {KEYS[table], *AUDIT}
    met: dict[str, set] = {name: set() for name in features}
    entities = sorted(versions[KEYS[table]].unique())
    for entity in generator.sample(entities, min(25, len(entities))):
        mine = versions[versions[KEYS[table]] == entity]
        first = mine.valid_from.min()
        for _ in range(8):
            day = first + timedelta(days=generator.randint(0, max((END - first).days, 0)))
            row = mine[(mine.valid_from <= day) & (mine.valid_to > day)].iloc[0]
            wanted = oracle(world, entity, day.to_pydatetime())
            assert set(wanted) == features
            for name, expected in wanted.items():
                actual = row[name]
                met[name].add("unknown" if pd.isna(actual) else actual)
                if pd.isna(expected):
                    assert pd.isna(actual), (entity, day, name, actual)
                else:
                    assert actual == pytest.approx(expected, abs=1e-8), (entity, day, name)
    assert not {name for name, values in met.items() if len(values) < 2}
