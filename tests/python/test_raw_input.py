"""Bad input: a clear error or quarantine, never a traceback, nothing lost."""

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from conftest import PROJECT, University, rewrite, within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml import lake, raw, registry
from ml.core import build_lock
from ml.core.errors import InsighteraError
from ml.raw.files import contract

INTAKE = ("--select", "this_build", "quarantine", "stg_siakad__mahasiswa", "stg_siakad__nilai")


@pytest.fixture
def folder(small_raw: Path, tmp_path: Path) -> Path:
    """A raw folder to spoil, its tables as CSV."""
    out = tmp_path / "raw"
    for table in contract():
        (out / table.source).mkdir(parents=True, exist_ok=True)
        duckdb.execute(
            f"copy (from '{small_raw / table.path}.parquet') to '{out / table.path}.csv' (header)"
        )
    return out


def refusal(folder: Path) -> str:
    with pytest.raises(InsighteraError) as caught:
        raw.examine(folder, contract())
    return str(caught.value)


def test_a_good_folder_is_accepted(folder: Path) -> None:
    assert len(raw.examine(folder, contract())) == len(contract())


def test_missing_column(folder: Path) -> None:
    path = folder / "siakad/nilai.csv"
    path.write_text(path.read_text().replace("bobot", "bobott", 1))
    message = refusal(folder)
    assert "siakad/nilai.csv: column bobot missing; found" in message
    assert "bobott" in message


def test_missing_column_in_parquet(small_raw: Path, tmp_path: Path) -> None:
    spoilt = rewrite(
        small_raw, tmp_path / "raw", "lms/aktivitas", "select * exclude (tanggal) from rows"
    )
    assert "lms/aktivitas.parquet: column tanggal missing" in refusal(spoilt)


def test_empty_file(folder: Path) -> None:
    (folder / "lms/tugas.csv").write_text("")
    assert "lms/tugas.csv: the file is empty" in refusal(folder)


def test_header_only_is_an_empty_table(folder: Path) -> None:
    path = folder / "lms/tugas.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with duckdb.connect() as connection:
        raw.open_raw(connection, folder, contract())
        assert connection.execute("select count(*) from raw_lms.tugas").fetchall() == [(0,)]


def test_absent_table_is_an_empty_table(folder: Path) -> None:
    (folder / "siakad/nilai.csv").unlink()
    with duckdb.connect() as connection:
        raw.open_raw(connection, folder, contract())
        assert connection.execute("select count(*) from raw_siakad.nilai").fetchall() == [(0,)]


def test_byte_order_mark_is_read_over(folder: Path) -> None:
    path = folder / "siakad/nilai.csv"
    before = duckdb.execute(f"select count(*) from read_csv('{path}', all_varchar=true)").fetchall()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with duckdb.connect() as connection:
        raw.open_raw(connection, folder, contract())
        rows = connection.execute("select count(*), count(nim) from raw_siakad.nilai").fetchall()
    assert rows == [(before[0][0], before[0][0])]


def test_latin_1_is_refused(folder: Path) -> None:
    path = folder / "siakad/mahasiswa.csv"
    text = path.read_text()
    name = text.splitlines()[1].split(",")[1]
    path.write_bytes(text.replace(name, "Zoë Désirée").encode("latin-1"))
    message = refusal(folder)
    assert "siakad/mahasiswa.csv: not UTF-8 (near byte " in message
    assert "iconv -f latin1 -t utf-8" in message


def test_a_character_cut_off_at_the_end_is_refused(folder: Path) -> None:
    path = folder / "siakad/nilai.csv"
    path.write_bytes(path.read_bytes() + "é".encode()[:1])
    assert "siakad/nilai.csv: not UTF-8 (near byte " in refusal(folder)


def test_a_folder_in_the_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "siakad/nilai.csv").unlink()
    (folder / "siakad/nilai.csv").mkdir()
    assert "siakad/nilai.csv is a folder" in refusal(folder)


@pytest.mark.parametrize("name", ["u*", "u?", "u[a-z]"])
def test_the_folder_is_no_pattern(folder: Path, tmp_path: Path, name: str) -> None:
    other, odd = tmp_path / "ux", tmp_path / name
    shutil.copytree(folder, other)
    folder.rename(odd)
    with duckdb.connect() as connection:
        raw.open_raw(connection, odd, contract())
        rows = connection.execute("select count(*) from raw_siakad.fakultas").fetchone()
    assert rows == (len((odd / "siakad/fakultas.csv").read_text().splitlines()) - 1,)


GRADE = ",MK1,2022-1,70,B,3,2023-01-10 08:00:00,2023-01-10 08:00:00"
GRADES = "nim,kode_mk,semester,nilai_angka,nilai_huruf,bobot,recorded_at,loaded_at"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (f"{GRADES}\nS1{GRADE}\nS2,MK1\n", "line 3: 2 values, and the header has 8 names"),
        (f"{GRADES}\nS1{GRADE},x\n", "line 2: 9 values"),
        (f'{GRADES}\n"S1{GRADE}\n', "line 2: a quote opens here and is never closed"),
        (f'{GRADES}\n"S1"x{GRADE}\n', "line 2: text follows a closing quote"),
        (f"{GRADES}\r\nS1{GRADE}\r\nS2{GRADE}\n", "line 3: ends with LF, the header with CR LF"),
        (f"{GRADES}\nS1\0{GRADE}\n", "line 2: a NUL character"),
        (f"nim,{GRADES}\nS1,S1{GRADE}\n", "column nim stands twice"),
        (f"{GRADES.replace(',', chr(9))}\n", "separated by tabs"),
    ],
)
def test_the_form_of_a_csv_is_looked_at_before_the_build(
    folder: Path, rows: str, words: str
) -> None:
    (folder / "siakad/nilai.csv").write_bytes(rows.encode())
    message = refusal(folder)
    assert "siakad/nilai.csv" in message
    assert words in message


@pytest.mark.parametrize("header", [f",{GRADES},", f"x,{GRADES},x", f"select,{GRADES},{'y' * 200}"])
def test_columns_that_the_contract_does_not_know_may_be_called_anything(
    folder: Path, header: str
) -> None:
    (folder / "siakad/nilai.csv").write_text(f"{header}\n0,S1{GRADE},\n")
    with duckdb.connect() as connection:
        raw.open_raw(connection, folder, contract())
        rows = connection.execute("select nim, kode_mk from raw_siakad.nilai").fetchall()
    assert rows == [("S1", "MK1")]


@pytest.mark.parametrize(
    "name",
    [
        "siakad/nilai.csv.gz",
        "siakad/nilai.CSV",
        "siakad/Nilai.csv",
        "Siakad/nilai.csv",
        "siakad/nilai/part-0.csv",
        "siakad/2024/nilai.csv",
        "siakad/nilai.txt",
        "siakad/nilai",
        "nilai.csv",
        "extracts/siakad/nilai.csv",
        "nilai.zip",
    ],
)
def test_what_is_there_and_not_read_is_refused(folder: Path, name: str) -> None:
    (folder / "siakad/nilai.csv").unlink()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"{GRADES}\n")
    assert str(Path(name).parent if name.count("/") > 1 else name) in refusal(folder)


def test_a_link_to_nowhere_is_refused(folder: Path) -> None:
    (folder / "siakad/nilai.csv").unlink()
    (folder / "siakad/nilai.csv").symlink_to(folder / "gone.csv")
    assert "siakad/nilai.csv is no file (a link to nowhere?)" in refusal(folder)


def test_notes_may_lie_beside_the_tables(folder: Path) -> None:
    for name in ("README", "notes.txt", "siakad/README.md", ".DS_Store", "siakad/.nilai.csv.swp"):
        (folder / name).write_text("how these were made")
    assert len(raw.examine(folder, contract())) == len(contract())


# what a rough file's values, ends and names may be
VALUES = (
    "S1",
    "",
    " ",
    "70",
    "é",
    '"a,b"',
    '"a\nb"',
    '"a""b"',
    'a"b',
    '"a"b',
    ' "a"',
    '"',
    "\\",
    "\t",
    "\0",
)
ENDS = st.sampled_from([("\n",), ("\r\n",), ("\r",), ("\n", "\r\n")])


@st.composite
def rough_csv(draw: st.DrawFn) -> bytes:
    """A file of grades as people's exports are: mostly right."""
    names = [
        *GRADES.split(","),
        *draw(st.lists(st.sampled_from(["", "x", "NIM", "a b"]), max_size=2)),
    ]
    ends = draw(ENDS)
    value = st.sampled_from(VALUES)
    width = st.one_of(st.just(len(names)), st.just(len(names)), st.integers(1, 10))
    row = width.flatmap(lambda n: st.lists(value, min_size=n, max_size=n)).map(",".join)
    lines = draw(st.lists(st.one_of(row, row, row, st.just("")), max_size=5))
    text = "".join(line + draw(st.sampled_from(ends)) for line in [",".join(names), *lines])
    encoded = text.encode(
        draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"]))
    )
    return encoded[: len(encoded) - draw(st.sampled_from([0, 0, 0, 1, 2]))]


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=rough_csv())
def test_a_rough_csv_is_read_as_written_or_refused_in_words(tmp_path: Path, content: bytes) -> None:
    """As many rows as Python's csv counts, each with the student it names, or one message."""
    path = tmp_path / "siakad/nilai.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        with duckdb.connect() as connection:
            raw.open_raw(connection, tmp_path, contract())
            seen = connection.execute("select trim(nim) from raw_siakad.nilai").fetchall()
    except InsighteraError as error:
        assert "siakad/nilai.csv" in str(error)  # noqa: PT017  (either outcome is right)
        return
    names, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    place = [name.lower() for name in names].index("nim")
    written = [
        (row[place].strip(" ").removeprefix('"').removesuffix('"') or None) for row in rows if row
    ]
    assert [(name or "").strip('"') or None for (name,) in seen] == [
        (name or "").strip('"') or None for name in written
    ]


def test_semicolons_are_named(folder: Path) -> None:
    path = folder / "siakad/fakultas.csv"
    path.write_text(path.read_text().replace(",", ";"))
    assert "separated by ';'" in refusal(folder)


def test_misspelt_table_is_refused(folder: Path) -> None:
    (folder / "siakad/nilai.csv").rename(folder / "siakad/nilia.csv")
    message = refusal(folder)
    assert "siakad/nilia.csv: no such table in the contract. Did you mean siakad/nilai?" in message


def test_all_problems_at_once(folder: Path) -> None:
    (folder / "lms/tugas.csv").write_text("")
    (folder / "siakad/krs.csv").write_text("a,b\n1,2\n")
    message = refusal(folder)
    assert "lms/tugas.csv" in message
    assert "siakad/krs.csv" in message


def test_no_folder(tmp_path: Path) -> None:
    assert "is no folder" in refusal(tmp_path / "nowhere")


@pytest.mark.slow
def test_refused_folder_stops_the_build_in_words(
    folder: Path, university: Callable[..., University]
) -> None:
    (folder / "lms/tugas.csv").write_text("")
    done = university(folder).dbt("build", *INTAKE)
    assert done.returncode != 0
    assert "lms/tugas.csv: the file is empty" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_bad_rows_are_quarantined_and_none_is_lost(
    folder: Path, university: Callable[..., University]
) -> None:
    path = folder / "siakad/nilai.csv"
    lines = path.read_text().splitlines()
    header, first = lines[0].split(","), lines[1].split(",")

    def row(**values: str) -> str:
        return ",".join(values.get(n, v) for n, v in zip(header, first, strict=True))

    bad = {
        "unreadable nilai_angka: no double": row(nim="A1", nilai_angka="ninety"),
        "nilai_angka above 100": row(nim="A2", nilai_angka="101"),
        "unknown nilai_huruf": row(nim="A3", nilai_huruf="Z"),
        "missing nim": row(nim=""),
        "unreadable recorded_at: no timestamp": row(nim="A4", recorded_at="01/31/2024"),
        "recorded_at after loaded_at": row(nim="A5", loaded_at="2001-01-01 00:00:00"),
        "loaded_at in the future": row(nim="A6", loaded_at="2999-01-01 00:00:00"),
        "duplicate key (nim, kode_mk, semester, recorded_at)": lines[1],
    }
    path.write_text("\n".join([*lines, *bad.values()]) + "\n")
    here = university(folder)
    refused = here.dbt("build", *INTAKE)
    assert refused.returncode != 0
    assert f"siakad.nilai: {len(bad)} of {len(lines) - 1 + len(bad)} rows" in refused.stdout
    assert "quarantine_threshold" in refused.stdout
    assert "Traceback" not in refused.stdout
    held = here.query("select quarantine_reason, raw_row from staging.quarantine")
    assert sorted(reason for reason, _ in held) == sorted(bad)
    assert any("ninety" in row for _, row in held)

    # accepted by hand: what is good goes on, what is bad stays where it is
    done = here.dbt("build", *INTAKE, "--vars", "{quarantine_threshold: 0.5}")
    assert done.returncode == 0, done.stdout
    assert "QUARANTINE  siakad.nilai" in done.stdout
    kept = here.query("select count(*) from staging.stg_siakad__nilai")[0][0]
    assert kept + len(bad) == len(lines) - 1 + len(bad)
    assert here.query("select year(max(as_of)) from staging.this_build")[0][0] < 2999


@pytest.mark.slow
def test_grades_of_nobody_stop_the_build(
    folder: Path, university: Callable[..., University]
) -> None:
    """An id in another form: every row is well-formed, and belongs to no student."""
    path = folder / "siakad/nilai.csv"
    header, *lines = path.read_text().splitlines()
    assert header.startswith("nim,")
    path.write_text("\n".join([header, *(line.replace(",", ".0,", 1) for line in lines)]) + "\n")
    (folder / "siakad/mata_kuliah.csv").unlink()
    here = university(folder)
    chosen = ("--select", "this_build", "quarantine", "orphans", "stg_siakad__nilai")
    refused = here.dbt("build", *chosen)
    assert refused.returncode != 0
    said = f"siakad.nilai: {len(lines)} of {len(lines)} rows name a nim that siakad.mahasiswa lacks"
    assert said in refused.stdout
    assert "orphan_threshold" in refused.stdout
    assert "Traceback" not in refused.stdout
    counted = "select orphan_count from staging.orphans where table_name = 'siakad.nilai'"
    assert here.query(f"{counted} and column_name = 'nim'") == [(len(lines),)]
    assert here.query(f"{counted} and column_name = 'kode_mk'") == [(None,)]

    done = here.dbt("build", *chosen, "--vars", "{orphan_threshold: 1}")
    assert done.returncode == 0, done.stdout
    assert f"ORPHANS  {said}" in done.stdout
    assert "ORPHANS  siakad.nilai: siakad.mata_kuliah has no rows" in done.stdout


@pytest.mark.slow
def test_one_home_never_mixes_two_universities(
    folder: Path, small_raw: Path, university: Callable[..., University]
) -> None:
    here = university(folder)
    here.build("--select", "this_build")
    here.raw = small_raw
    done = here.dbt("build", "--select", "this_build")
    assert done.returncode != 0
    assert f"was built from {folder}" in done.stdout
    assert "INSIGHTERA_HOME" in done.stdout


@pytest.mark.slow
def test_a_table_that_was_read_before_may_not_vanish(
    folder: Path, university: Callable[..., University]
) -> None:
    here = university(folder)
    here.build("--select", "this_build")
    (folder / "siakad/nilai.csv").unlink()
    done = here.dbt("build", "--select", "this_build")
    assert done.returncode != 0
    assert "An earlier build of this home read siakad/nilai" in done.stdout
    assert "Traceback" not in done.stdout
    here.build("--select", "this_build", INSIGHTERA_GONE="siakad/nilai")
    here.build("--select", "this_build")


@pytest.mark.slow
def test_a_university_without_a_row_is_built_and_said_so(
    folder: Path, university: Callable[..., University]
) -> None:
    for path in folder.glob("*/*.csv"):
        path.write_text(path.read_text().splitlines()[0] + "\n")
    here = university(folder)
    assert "NO ROWS" in here.build("--select", "this_build")
    assert here.query("select as_of from staging.this_build")[0][0] is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["C# uni", "50%20off", "d'accord ü", "a[b]*"])
def test_a_home_may_be_called_anything(small_raw: Path, tmp_path: Path, name: str) -> None:
    here = University(tmp_path / "homes" / name, small_raw, tmp_path / "target")
    here.build("--select", "this_build")
    with within(PROJECT, here.env()):
        assert lake.tables() == []
        assert registry.list_versions() == []
    assert [path.name for path in (tmp_path / "homes").iterdir()] == [name]
    assert (here.home / "warehouse.duckdb").exists()


@pytest.mark.parametrize("home", ["what?x", "file/below"])
def test_a_home_that_cannot_be_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path / home))
    with pytest.raises(InsighteraError, match="INSIGHTERA_HOME"):
        build_lock.take()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
