"""The demo university: deterministic, clean, streaming, and with a story worth learning."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from raw_contract_checks import violations

from ml.core.errors import InsighteraError
from ml.raw import files
from ml.raw.demo.generate import generate
from ml.raw.demo.sections import KINDS
from ml.raw.demo.students import CHUNK
from ml.raw.files import PROJECT, contract

SEED_STUDENTS, SEED = 245, 7  # what `seeds/` was generated with
STUDENTS = 2 * CHUNK + 100
COUNTS_ALL = {"registrasi_prodi", "pendaftaran", "kelas", "sebaran_nilai"}
LETTERS = ("A", "AB", "B", "BC", "C", "D", "E")


@pytest.fixture(scope="module")
def university(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A university of three chunks, the last one short."""
    folder = tmp_path_factory.mktemp("university") / "raw"
    generate(STUDENTS, 3, folder)
    return folder


@pytest.fixture(scope="module")
def raw(university: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A view per raw table of `university`."""
    with duckdb.connect() as connection:
        for table in contract():
            connection.execute(
                f"create view {table.name} as from '{university}/{table.path}.parquet'"
            )
        yield connection


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[float, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


# --- Deterministic --------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_same_numbers_same_bytes(tmp_path: Path, file_format: str) -> None:
    rows = generate(50, 11, tmp_path / "a", file_format=file_format)
    assert generate(50, 11, tmp_path / "b", file_format=file_format) == rows
    first = digests(tmp_path / "a")
    assert digests(tmp_path / "b") == first
    assert set(first) == {f"{table.path}.{file_format}" for table in contract()} | {".insightera"}
    generate(50, 11, tmp_path / "a", file_format=file_format)  # again, into the same folder
    assert digests(tmp_path / "a") == first
    generate(50, 12, tmp_path / "b", file_format=file_format)
    assert digests(tmp_path / "b") != first


def test_a_student_does_not_depend_on_how_many_there_are(
    tmp_path: Path, raw: duckdb.DuckDBPyConnection
) -> None:
    generate(30, 3, tmp_path / "few")
    generate(CHUNK + 30, 3, tmp_path / "more")
    for few, folder in ((30, "few"), (CHUNK + 30, "more")):
        for table in contract():
            file = f"'{tmp_path}/{folder}/{table.path}.parquet'"
            if table.name in COUNTS_ALL:
                continue
            of_few = "" if "nim" not in table.key else f"where cast(nim[4:] as int) <= {few}"
            assert one(raw, f"select count(*) from {file}")[0] > 0
            assert one(
                raw,
                f"""select count(*) from (
                    (from {table.name} {of_few} except all from {file})
                    union all
                    (from {file} except all from {table.name})
                )""",
            ) == (0,), table.path


def test_faults_are_planted_and_told_only_to_who_asks(tmp_path: Path) -> None:
    """Each shows in the raw rows of its student and fortnight, and the truth lies elsewhere."""
    told = tmp_path / "faults.csv"
    generate(SEED_STUDENTS, SEED, tmp_path / "raw", faults=told)
    generate(SEED_STUDENTS, SEED, tmp_path / "untold")
    assert digests(tmp_path / "raw") == digests(tmp_path / "untold")
    with duckdb.connect() as connection:
        connection.execute(f"create view faults as from '{told}'")
        connection.execute(
            f"create view met as from '{tmp_path}/raw/presensi/kehadiran_mahasiswa.parquet'"
        )
        kinds = dict(
            connection.execute("select kind, count(*) from faults group by kind").fetchall()
        )
        assert set(kinds) == {"proxy", "stop", "night", "lenient", "harsh", "uniform"}
        assert min(kinds.values()) >= 3
        sheets = connection.execute(
            f"""
            select
                kind,
                bool_and(jumlah_a >= 0.6 * jumlah_peserta), bool_and(jumlah_e >= 0.25 * jumlah_peserta),
                bool_and(jumlah_b = jumlah_peserta)
            from faults join '{tmp_path}/raw/siakad/sebaran_nilai.parquet' using (kode_mk, semester, kelas)
            where nim is null and recorded_at < '2021-06-01' and jumlah_peserta >= 10 group by kind
            """
        ).fetchall()
        assert {kind: said[KINDS.index(kind)] for kind, *said in sheets} == dict.fromkeys(
            KINDS, True
        )
        seen = """
            select kind, nim, bool_and(status_kehadiran = 'alpa'),
                bool_and(recorded_at - tanggal > interval 10 hour),
                count_if(exists (
                    from met as other where other.nim = faults.partner
                    and other.kode_mk = met.kode_mk and other.semester = met.semester
                    and other.pertemuan_ke = met.pertemuan_ke
                    and date_trunc('minute', other.recorded_at) = date_trunc('minute', met.recorded_at)
                ))
            from faults join met using (nim) where tanggal between since and until group by all
        """
        for kind, nim, gone, by_night, together in connection.execute(seen).fetchall():
            found = {"stop": gone, "night": by_night, "proxy": together >= 4}
            assert found[kind], (kind, nim)
    with pytest.raises(InsighteraError, match="lies in the raw folder"):
        generate(5, SEED, tmp_path / "raw", faults=tmp_path / "raw" / "faults.csv")


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = generate(40, 5, tmp_path / "parquet")
    assert generate(40, 5, tmp_path / "csv", file_format="csv") == rows
    for table in contract():
        types = {
            column.name: {"timestamp": "timestamp", "date": "date"}.get(
                column.data_type, column.data_type
            )
            for column in table.columns
        }
        read = f"read_csv('{tmp_path}/csv/{table.path}.csv', header = true, columns = {types})"
        parquet = f"'{tmp_path}/parquet/{table.path}.parquet'"
        assert duckdb.execute(f"from {read} except all from {parquet}").fetchall() == []
        assert one(duckdb.connect(), f"select count(*) from {read}") == (rows[table.path],)


def test_seeds_are_the_generators_output(tmp_path: Path) -> None:
    generate(SEED_STUDENTS, SEED, tmp_path / "seeds", file_format="csv")
    for table in contract():
        name = f"{table.path}.csv"
        assert (PROJECT / "seeds" / name).read_bytes() == (tmp_path / "seeds" / name).read_bytes()


def test_seeds_are_small_and_have_dropouts_enough() -> None:
    files = [PROJECT / "seeds" / f"{table.path}.csv" for table in contract()]
    assert sum(file.stat().st_size for file in files) < 5_000_000
    assert sum(file.read_bytes().count(b"\n") - 1 for file in files) < 60_000
    students = (PROJECT / "seeds" / "siakad" / "mahasiswa.csv").read_text(encoding="utf-8")
    assert students.count(",dropout,") >= 45


# --- Clean ----------------------------------------------------------------------------------------


def test_rows_keep_the_contract(university: Path) -> None:
    assert violations(university) == []


def test_nothing_is_later_than_the_end(raw: duckdb.DuckDBPyConnection) -> None:
    for table in contract():
        assert one(raw, f"select max(loaded_at) < timestamp '2024-06-01' from {table.name}")[0]


@pytest.mark.parametrize(
    ("table", "column", "parent"),
    [
        ("program_studi", "kode_fakultas", "fakultas"),
        ("mahasiswa", "kode_prodi", "program_studi"),
        ("mata_kuliah", "kode_prodi", "program_studi"),
        ("krs", "kode_mk", "mata_kuliah"),
        ("pengumpulan", "id_tugas", "tugas"),
        ("nilai", "nim, kode_mk, semester", "krs"),
        ("kelas", "nidn", "dosen"),
        ("kelas", "kode_mk", "mata_kuliah"),
        ("sebaran_nilai", "kode_mk, semester, kelas", "kelas"),
        ("pendaftaran", "kode_prodi", "program_studi"),
        ("kehadiran_mahasiswa", "nim, kode_mk, semester", "krs"),
        ("tugas", "kode_mk", "mata_kuliah"),
    ],
)
def test_rows_point_at_rows(
    raw: duckdb.DuckDBPyConnection, table: str, column: str, parent: str
) -> None:
    orphans = one(raw, f"select count(*) from {table} anti join {parent} using ({column})")[0]
    # A plan that reaches the lake late may come after the first rows that belong to it.
    assert orphans <= 0.03 * one(raw, f"select count(*) from {table}")[0]
    if parent != "krs":
        assert orphans == 0


def test_nobody_studies_after_the_end_of_their_time(raw: duckdb.DuckDBPyConnection) -> None:
    raw.execute(
        """create or replace temp view gone as
        select nim, berlaku_sejak from mahasiswa
        where status in ('dropout', 'graduated', 'failed')"""
    )
    assert one(raw, "select count(*) from gone")[0] > 100
    assert one(raw, "select count(*) = count(distinct nim) from gone")[0]
    for table, event in (
        ("kehadiran_mahasiswa", "tanggal"),
        ("aktivitas", "tanggal"),
        ("pengumpulan", "waktu_kumpul"),
        ("nilai", "recorded_at - interval 50 day"),  # corrections may come later
    ):
        sql = f"select count(*) from {table} join gone using (nim) where {event} > berlaku_sejak"
        assert one(raw, sql) == (0,), table


def test_letter_and_grade_points_agree(raw: duckdb.DuckDBPyConnection) -> None:
    pairs = raw.execute("select distinct nilai_huruf, bobot from nilai order by 2").fetchall()
    assert pairs == [("E", 0), ("D", 1), ("C", 2), ("BC", 2.5), ("B", 3), ("AB", 3.5), ("A", 4)]


def test_grade_sheets_count_the_grades_there_were_by_then(raw: duckdb.DuckDBPyConnection) -> None:
    """All sections of a course together, on each day of a sheet; small sections are not told."""
    counts = ", ".join(f"sum(jumlah_{letter.lower()}) as {letter}" for letter in LETTERS)
    graded = ", ".join(f"count_if(nilai_huruf = '{letter}') as {letter}" for letter in LETTERS)
    sheets = f"""
        select kode_mk, semester, {counts}
        from (
            select distinct on (kode_mk, semester, kelas) * from sebaran_nilai
            order by kode_mk, semester, kelas, recorded_at {{last}}
        )
        group by all having count(*) = count(jumlah_a)
    """
    for last, days in (("", 140), ("desc", 190)):
        by_then = f"""
            select kode_mk, semester, {graded}
            from (
                select distinct on (nim, kode_mk, semester) nilai.*
                from nilai join (
                    select semester, min(recorded_at) as first_sheet from sebaran_nilai group by semester
                ) using (semester)
                where recorded_at < date_trunc('day', first_sheet) + interval {days - 140} day
                order by nim, kode_mk, semester, recorded_at desc
            )
            group by all
        """
        of_the_known = "semi join nilai using (kode_mk, semester)"
        said = f"select * from ({sheets.format(last=last)}) {of_the_known}"
        assert one(raw, f"select count(*) from ({said})")[0] > 120
        # a grade that reaches the lake after the end is on the sheet already
        differ = one(raw, f"select count(*) from ({said} except all ({by_then}))")[0]
        assert differ <= 0.02 * one(raw, f"select count(*) from ({said})")[0]
    seeds = f"from '{PROJECT}/seeds/siakad/sebaran_nilai.csv'"
    small = one(raw, f"select count(*) {seeds} where jumlah_peserta < 5 and jumlah_a is null")
    assert small == one(raw, f"select count(*) {seeds} where jumlah_a is null")
    assert small[0] > 20


# --- A story worth learning -----------------------------------------------------------------------


def test_everything_that_happens_at_a_university_happens(raw: duckdb.DuckDBPyConnection) -> None:
    share = one(
        raw,
        """select count(distinct nim) filter (status = 'dropout') / count(distinct nim),
        count(distinct angkatan), count(distinct kode_prodi) from mahasiswa""",
    )
    assert 0.15 <= share[0] <= 0.22
    assert share[1:] == (3, 6)
    happened = {
        "graduated": "from mahasiswa where status = 'graduated'",
        "failed": "from mahasiswa where status = 'failed'",
        "back from leave": """from (select status, lag(status) over (
            partition by nim order by recorded_at) as before from mahasiswa)
            where before = 'leave' and status = 'active'""",
        "changed programme": """from (
            from mahasiswa select nim group by nim having count(distinct kode_prodi) > 1)""",
        "grade corrected": """from (
            from nilai select nim group by nim, kode_mk, semester having count(*) > 1)""",
        "letter only": "from nilai where nilai_angka is null",
        "never marked": "from pengumpulan where skor is null",
        "course taken off the plan": "from krs where status_krs = 'batal'",
        "handed in late": """from pengumpulan join tugas using (id_tugas)
            where waktu_kumpul > tenggat""",
        "background unknown": "from mahasiswa where wilayah is null",
    }
    missing = [what for what, sql in happened.items() if one(raw, f"select count(*) {sql}")[0] < 5]
    assert missing == []


def test_two_rows_in_a_hundred_are_late(raw: duckdb.DuckDBPyConnection) -> None:
    for table in ("kehadiran_mahasiswa", "aktivitas", "pengumpulan", "krs", "nilai"):
        late, least, most = one(
            raw,
            f"""select avg((loaded_at > recorded_at)::int),
            min(date_diff('hour', recorded_at, loaded_at)) filter (loaded_at > recorded_at),
            max(date_diff('hour', recorded_at, loaded_at)) from {table}""",
        )
        assert 0.01 < late < 0.03, table
        assert least >= 24, table
        assert most <= 14 * 24, table


def test_trouble_builds_up_over_weeks_before_a_dropout(raw: duckdb.DuckDBPyConnection) -> None:
    absent = dict(
        raw.execute(
            """
            select
                date_diff('day', tanggal, berlaku_sejak) // 42,
                avg((status_kehadiran = 'alpa')::int)
            from kehadiran_mahasiswa join mahasiswa using (nim)
            where status = 'dropout' and date_diff('day', tanggal, berlaku_sejak) < 210
            group by 1
            """
        ).fetchall()
    )
    assert absent[0] > absent[1] > absent[2] > absent[4]
    assert absent[0] > 2 * absent[4]
    others = one(
        raw,
        """select avg((status_kehadiran = 'alpa')::int) from kehadiran_mahasiswa
        where nim not in (select nim from mahasiswa where status = 'dropout')""",
    )[0]
    assert absent[0] > 3 * others


def test_dropout_can_be_foreseen_but_not_read_off(raw: duckdb.DuckDBPyConnection) -> None:
    """One attribute, one day: absence in ninety days against dropout in the next 180 days."""
    rows = raw.execute(
        """
        with cutoff as (select timestamp '2023-11-27' as cut),
        students as (
            select nim from mahasiswa, cutoff where recorded_at < cut
            group by nim having arg_max(status, recorded_at) = 'active'
        )
        select
            nim in (
                select nim from mahasiswa, cutoff
                where status = 'dropout' and berlaku_sejak between cut and cut + interval 180 day
            ),
            (
                select coalesce(avg((status_kehadiran = 'alpa')::int), 0)
                from kehadiran_mahasiswa as meeting, cutoff
                where meeting.nim = students.nim
                and tanggal between cut - interval 90 day and cut
            )
        from students
        """
    ).fetchnumpy()
    label, score = (np.asarray(column, float) for column in rows.values())
    left, stayed = score[label == 1], score[label == 0]
    assert len(left) > 100
    ranks = (left[:, None] > stayed) + 0.5 * (left[:, None] == stayed)
    assert 0.7 < ranks.mean() < 0.92


# --- Streaming and safe ---------------------------------------------------------------------------

_RUN = """
import os, resource, signal, sys
from pathlib import Path
from ml.raw.demo.generate import generate
students, out, kill = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "kill"
stop = lambda done: os.kill(os.getpid(), signal.SIGKILL)
generate(students, 3, out, progress=stop if kill else None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def run(students: int, out: Path, mode: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _RUN, str(students), str(out), mode],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_memory_does_not_grow_with_the_students(tmp_path: Path) -> None:
    small, large = (
        int(run(students, tmp_path / str(students), "whole").stdout)
        for students in (8 * CHUNK, 24 * CHUNK)
    )
    # Three times the rows (11 M): to hold them would take three times the memory.
    assert large < 1.25 * small


def test_a_killed_run_leaves_no_half_file_and_can_be_repeated(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    assert run(CHUNK + 1, out, "kill").returncode == -signal.SIGKILL
    assert list(out.rglob("*.parquet")) == []
    assert list(out.rglob(".*.partial")) != []
    rows = generate(20, 3, out)
    assert rows["siakad/mahasiswa"] >= 20
    assert list(out.rglob(".*.partial")) == []
    before = digests(out)
    assert run(CHUNK + 1, out, "kill").returncode == -signal.SIGKILL
    assert {name: digest for name, digest in digests(out).items() if name in before} == before


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    generate(20, 3, tmp_path / "raw")
    before = digests(tmp_path / "raw")

    def stop(done: int) -> None:
        raise KeyboardInterrupt(done)

    with pytest.raises(KeyboardInterrupt):
        generate(20, 4, tmp_path / "raw", progress=stop)
    assert digests(tmp_path / "raw") == before


def test_the_other_format_does_not_stay_beside(tmp_path: Path) -> None:
    generate(20, 3, tmp_path / "raw", file_format="csv")
    generate(20, 3, tmp_path / "raw", file_format="parquet")
    assert list((tmp_path / "raw").rglob("*.csv")) == []
    assert len(list((tmp_path / "raw").rglob("*.parquet"))) == len(contract())


def test_progress_counts_the_students(tmp_path: Path) -> None:
    done: list[int] = []
    generate(CHUNK + 5, 1, tmp_path / "raw", progress=done.append)
    assert done == [CHUNK, 5]


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    extract = tmp_path / "siakad" / "mahasiswa.csv"
    extract.parent.mkdir()
    extract.write_text("nim\n1\n", encoding="utf-8")
    with pytest.raises(InsighteraError, match="not empty"):
        generate(20, 3, tmp_path)
    assert list(tmp_path.rglob("*.*")) == [extract]
    assert extract.read_text(encoding="utf-8") == "nim\n1\n"


def test_another_commands_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / files.MARKER).write_text("insightera import oulad\n", encoding="utf-8")
    with pytest.raises(InsighteraError, match="insightera import oulad"):
        generate(20, 3, tmp_path)


@pytest.mark.parametrize(
    ("students", "seed", "file_format", "message"),
    [
        (0, 1, "parquet", "--students"),
        (-5, 1, "parquet", "--students"),
        (10_000_000, 1, "parquet", "--students"),
        (10, -1, "parquet", "--seed"),
        (10, 1, "xlsx", "parquet, csv"),
    ],
)
def test_bad_numbers_are_said_so(
    tmp_path: Path, students: int, seed: int, file_format: str, message: str
) -> None:
    with pytest.raises(InsighteraError, match=message):
        generate(students, seed, tmp_path / "raw", file_format=file_format)
    assert not (tmp_path / "raw").exists()


def test_a_file_in_the_folders_place_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("", encoding="utf-8")
    with pytest.raises(InsighteraError, match="is a file"):
        generate(10, 1, tmp_path / "raw")


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("", encoding="utf-8")
    with pytest.raises(InsighteraError, match="Cannot write"):
        generate(10, 1, tmp_path / "raw" / "below")
