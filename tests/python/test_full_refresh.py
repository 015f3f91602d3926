"""After `dbt build --full-refresh` a home is as one built from nothing; and what a table that a university lacks makes
of the features that count its rows."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from conftest import UNTESTED, SparkUniversity, University

pytestmark = pytest.mark.slow

AS_OF = "2024-06-01"
STUDENT = (
    "nim,nama,kode_prodi,angkatan,status,jalur_masuk,pendidikan_asal,kelompok_penghasilan,jumlah_percobaan,beban_sks,"
    "wilayah,jenis_kelamin,agama,suku,alamat,disabilitas,kelompok_usia,berlaku_sejak,recorded_at\n"
)


def students(raw: Path, *versions: tuple[str, str, str, str]) -> None:
    """Write versions of students: nim, programme, status, when."""
    rows = [
        f"{nim},Name {nim},{prodi},2022,{status},,,,,,,,,,,,,{when},{when}\n"
        for nim, prodi, status, when in versions
    ]
    write(raw, "siakad/mahasiswa", STUDENT + "".join(rows))


def write(raw: Path, table: str, text: str) -> None:
    path = raw / f"{table}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], University]:
    """Makes a home of that name over `raw`, for the engine that the test runs on."""
    kind = SparkUniversity if request.param == "spark" else University
    return lambda name: kind(tmp_path / name, tmp_path / "raw", tmp_path / f"{name}-target")


def rows(here: University, schema: str, table: str) -> list[dict]:
    """All rows of a table, in order."""
    if isinstance(here, SparkUniversity):
        found: pa.Table = here.table(schema, table)
    else:
        with here.opened("") as connection:
            found = connection.execute(f"from {schema}.{table}").to_arrow_table()
    return sorted(found.to_pylist(), key=str)


def test_a_home_is_as_from_nothing(home: Callable[[str], University], tmp_path: Path) -> None:
    """A version mended in time, one mended in place, one taken away; dbt's own columns included."""
    raw = tmp_path / "raw"
    left = ("S1", "IF", "dropout", "2022-10-01 08:00:00")
    students(
        raw,
        ("S1", "IF", "active", "2022-09-01 08:00:00"),
        left,
        ("S2", "IF", "active", "2022-09-01 08:00:00"),
        ("S2", "IF", "leave", "2023-02-01 08:00:00"),
    )
    here = home("mended")
    chosen = ("--select", "+label_student_dropout", "+features_mahasiswa_demographic", *UNTESTED)
    here.build(*chosen, as_of=AS_OF)
    before = rows(here, "snapshots", "snapshot_mahasiswa")
    students(
        raw,
        ("S1", "SI", "active", "2022-09-01 08:00:00"),
        (*left[:3], "2023-10-01 08:00:00"),
        ("S2", "IF", "active", "2022-09-01 08:00:00"),
    )
    # an ordinary build keeps what was there, and so does one that does not ask for the snapshot
    here.build(*chosen, as_of=AS_OF)
    assert len(rows(here, "snapshots", "snapshot_mahasiswa")) == len(before) + 1
    here.build("--select", "dim_mahasiswa", *UNTESTED, "--full-refresh", as_of=AS_OF)
    assert len(rows(here, "snapshots", "snapshot_mahasiswa")) == len(before) + 1

    here.build(*chosen, "--full-refresh", as_of=AS_OF)
    fresh = home("fresh")
    fresh.build(*chosen, as_of=AS_OF)
    for schema, table in (
        ("snapshots", "snapshot_mahasiswa"),
        ("gold", "dim_mahasiswa"),
        ("labels", "label_student_dropout"),
        ("features", "features_mahasiswa_demographic"),
    ):
        assert rows(here, schema, table) == rows(fresh, schema, table), table
    # and what is built on it goes on as before
    here.build(*chosen, as_of="2024-07-01")
    assert len(rows(here, "snapshots", "snapshot_mahasiswa")) == 3


def test_a_full_refresh_that_fails_keeps_the_history(tmp_path: Path) -> None:
    """A build that stops while it makes the snapshot leaves the one that was there."""
    raw = tmp_path / "raw"
    students(raw, ("S1", "IF", "active", "2022-09-01 08:00:00"))
    here = University(tmp_path / "home", raw, tmp_path / "target")
    here.build("--select", "+snapshot_mahasiswa", *UNTESTED, as_of=AS_OF)
    before = rows(here, "snapshots", "snapshot_mahasiswa")
    with duckdb.connect(str(here.home / "warehouse.duckdb")) as warehouse:
        warehouse.execute("create table staging.sound as from staging.stg_siakad__mahasiswa")
        warehouse.execute(
            "create or replace view staging.stg_siakad__mahasiswa as "
            "select * replace (error('amid the rows ' || nim)::varchar as nim) from staging.sound"
        )
    chosen = ("--select", "snapshot_mahasiswa", *UNTESTED)
    done = here.dbt("build", *chosen, "--full-refresh", INSIGHTERA_AS_OF=AS_OF)
    assert done.returncode != 0
    assert "amid the rows" in done.stdout
    assert rows(here, "snapshots", "snapshot_mahasiswa") == before


COURSE = "kode_mk,nama_mk,kode_prodi,sks,recorded_at\n"
TABLES = {
    "siakad/nilai": "nim,kode_mk,semester,nilai_angka,nilai_huruf,bobot,recorded_at\n"
    "S1,M1,2022-1,90,A,4,2023-01-10 08:00:00\nS1,M2,2022-1,80,B,3,2023-01-10 08:00:00\n",
    "siakad/mata_kuliah": f"{COURSE}M1,One,,2,2022-01-01 08:00:00\nM2,Two,,4,2022-01-01 08:00:00\n",
    "siakad/krs": "nim,kode_mk,semester,status_krs,recorded_at\nS1,M1,2022-1,diambil,2022-09-02 08:00:00\n",
    "lms/tugas": "id_tugas,kode_mk,semester,jenis,tenggat,bobot_persen,recorded_at\n"
    "T1,M1,2022-1,,2022-10-01 08:00:00,,2022-09-02 08:00:00\n"
    "T2,M1,2022-1,,2022-11-01 08:00:00,,2022-09-02 08:00:00\n",
    "lms/pengumpulan": "nim,id_tugas,waktu_kumpul,skor,dari_sebelumnya,recorded_at\n"
    "S1,T1,2022-10-02 08:00:00,50,false,2022-10-02 08:00:00\n",
}
KNOWN = {
    "gpa_cumulative": 20 / 6,
    "credit_earned_total": 6,
    "credit_velocity": 6.0,
    "submitted_count": 1,
    "missed_count": 1,
    "late_count": 1,
    "submitted_share": 0.5,
    "score_mean": 50.0,
    "score_last": 50.0,
}
UNKNOWN = {
    "nothing": {},
    # recorded after the grades: nobody can tell what a course gave when it was passed
    "catalogue": dict.fromkeys(("credit_earned_total", "credit_velocity")),
    "lms/pengumpulan": dict.fromkeys(
        (
            *("submitted_count", "missed_count", "late_count", "submitted_share"),
            *("score_mean", "score_last"),
        )
    ),
    **{
        table: dict.fromkeys(("missed_count", "late_count", "submitted_share"))
        for table in ("lms/tugas", "siakad/krs")
    },
    "siakad/mata_kuliah": {"credit_earned_total": None, "credit_velocity": None},
}
UNWEIGHTED = {"gpa_cumulative": 3.5}


@pytest.mark.parametrize("form", ["no file", "only a header"])
@pytest.mark.parametrize("lacking", UNKNOWN)
def test_what_is_not_known_is_no_number(lacking: str, form: str, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    students(raw, ("S1", "IF", "active", "2022-09-01 08:00:00"))
    for table, text in TABLES.items():
        if table != lacking:
            write(raw, table, text)
        elif form == "only a header":
            write(raw, table, text.partition("\n")[0] + "\n")
    if lacking == "catalogue":
        write(raw, "siakad/mata_kuliah", TABLES["siakad/mata_kuliah"].replace("2022-01", "2023-02"))
    here = University(tmp_path / "home", raw, tmp_path / "target")
    tables = ("features_mahasiswa_academic", "features_mahasiswa_assessment")
    here.build("--select", *(f"+{table}" for table in tables), *UNTESTED, as_of=AS_OF)
    found = pd.concat([here.frame(f"from features.{table} where is_current") for table in tables])
    found = found.drop(columns="feature_hash").groupby("nim").first().loc["S1"]
    unweighted = UNWEIGHTED if UNKNOWN[lacking].get("credit_earned_total", 0) is None else {}
    for name, value in {**KNOWN, **UNKNOWN[lacking], **unweighted}.items():
        if value is None:
            assert pd.isna(found[name]), name
        else:
            assert found[name] == pytest.approx(value), name


def test_a_table_that_comes_later_counts_from_then_on_as_from_nothing(tmp_path: Path) -> None:
    """Its first rows make the counts of all students known, those without new rows included."""
    raw = tmp_path / "raw"
    students(raw, *((nim, "IF", "active", "2022-09-01 08:00:00") for nim in ("S1", "S2")))
    both = TABLES["siakad/krs"] + "S2,M1,2022-1,diambil,2022-09-02 08:00:00\n"
    for table in ("siakad/krs", "lms/tugas", "lms/pengumpulan"):
        write(raw, table, both if table == "siakad/krs" else TABLES[table])
    chosen = ("--select", "+features_mahasiswa_assessment", *UNTESTED)
    here = University(tmp_path / "home", raw, tmp_path / "target")
    missed = (
        "select missed_count from features.features_mahasiswa_assessment where {} and is_current"
    )
    here.build(
        *chosen, as_of="2022-10-02"
    )  # the first is due, and nothing was handed in by anybody
    assert here.query(missed.format("nim = 'S2'")) == [(None,)]
    here.build(*chosen, as_of=AS_OF)
    assert here.query(missed.format("nim = 'S2'")) == [(2,)]
    fresh = University(tmp_path / "fresh", raw, tmp_path / "fresh-target")
    fresh.build(*chosen, as_of=AS_OF)
    table = "features", "features_mahasiswa_assessment"
    assert rows(here, *table) == rows(fresh, *table)
