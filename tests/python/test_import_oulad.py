"""OULAD as raw files: every value of a small hand-written extract, every rule on the real one."""

import gzip
import hashlib
import os
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from raw_contract_checks import violations

from ml.core.errors import InsighteraError
from ml.raw.files import PROJECT
from ml.raw.importers.oulad import STEPS, import_oulad
from ml.raw.importers.oulad_files import FILES, REQUIRED

REAL = Path(os.environ.get("INSIGHTERA_OULAD") or PROJECT.parent / "shared" / "data" / "oulad")

# Module AAA in 2013J (from 2013-10-01, 268 days: ends 2014-06-26), BBB in 2014B (from 2014-02-01,
# 234 days: ends 2014-09-23). The distribution quotes every value and writes `?` for missing.
SMALL = {
    "courses": """
code_module,code_presentation,module_presentation_length
AAA,2013J,268
BBB,2014B,234
""",
    "assessments": """
code_module,code_presentation,id_assessment,assessment_type,date,weight
AAA,2013J,1752,TMA,19,10
AAA,2013J,1757,Exam,?,100
BBB,2014B,15008,CMA,54,2.5
""",
    "vle": """
id_site,code_module,code_presentation,activity_type,week_from,week_to
546943,AAA,2013J,resource,?,?
""",
    "studentInfo": """
code_module,code_presentation,id_student,gender,region,highest_education,imd_band,age_band,num_of_prev_attempts,studied_credits,disability,final_result
AAA,2013J,1,M,East Anglian Region,HE Qualification,90-100%,55<=,0,240,N,Pass
AAA,2013J,2,F,Scotland,No Formal quals,10-20,0-35,1,60,Y,Withdrawn
AAA,2013J,3,F,Wales,A Level or Equivalent,?,35-55,0,60,N,Withdrawn
AAA,2013J,4,M,Wales,A Level or Equivalent,0-10%,0-35,0,60,N,Fail
AAA,2013J,5,M,Wales,A Level or Equivalent,0-10%,0-35,0,60,N,Withdrawn
AAA,2013J,6,M,Wales,A Level or Equivalent,0-10%,0-35,0,60,N,Withdrawn
AAA,2013J,7,M,Wales,A Level or Equivalent,0-10%,0-35,0,60,N,Withdrawn
AAA,2013J,8,M,Wales,A Level or Equivalent,0-10%,0-35,0,60,N,Fail
AAA,2013J,10,M,Wales,A Level or Equivalent,0-10%,0-35,0,60,N,Fail
BBB,2014B,1,M,Wales,A Level or Equivalent,0-10%,0-35,2,30,N,Distinction
BBB,2014B,9,M,Wales,A Level or Equivalent,0-10%,0-35,0,30,N,?
""",
    "studentRegistration": """
code_module,code_presentation,id_student,date_registration,date_unregistration
AAA,2013J,1,-159,?
AAA,2013J,2,-92,12
AAA,2013J,3,-10,?
AAA,2013J,4,-37,0
AAA,2013J,5,-32,-32
AAA,2013J,6,?,-126
AAA,2013J,7,-22,444
AAA,2013J,8,?,?
AAA,2013J,10,-5,300
BBB,2014B,1,3,?
""",
    "studentAssessment": """
id_assessment,id_student,date_submitted,is_banked,score
1752,1,18,0,78
1752,2,-1,1,60
15008,1,54,0,?
""",
    "studentVle": """
code_module,code_presentation,id_student,id_site,date,sum_click
AAA,2013J,1,546943,-5,7
AAA,2013J,1,546943,-5,7
AAA,2013J,1,546944,-5,1
AAA,2013J,1,546943,3,2
BBB,2014B,1,546999,0,11
""",
}


def write(folder: Path, files: dict[str, str], *, quoted: bool = True, bom: bool = False) -> Path:
    """The extract as CSV files, quoted as distributed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        lines = text.strip().splitlines()
        if quoted:
            lines = [",".join(f'"{value}"' for value in line.split(",")) for line in lines]
        content = "\r\n".join(lines) + "\r\n"
        (folder / f"{name}.csv").write_text(
            content, encoding="utf-8-sig" if bom else "utf-8", newline=""
        )
    return folder


def rows(folder: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    return duckdb.execute(f"select {columns} from '{folder}/{table}.parquet'").fetchall()


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The hand-written extract, imported."""
    import_oulad(write(tmp_path / "oulad", SMALL), tmp_path / "raw")
    return tmp_path / "raw"


# --- Value by value -------------------------------------------------------------------------------


def test_status_versions(small: Path) -> None:
    second = datetime(2013, 8, 30, 0, 0, 1)
    assert rows(small, "siakad/mahasiswa", "nim, status, recorded_at") == [
        ("1-AAA-2013J", "active", datetime(2013, 4, 25)),  # 159 days before 1 October
        ("1-AAA-2013J", "graduated", datetime(2014, 6, 26)),  # 268 days after it
        ("1-BBB-2014B", "active", datetime(2014, 2, 4)),
        ("1-BBB-2014B", "graduated", datetime(2014, 9, 23)),
        ("10-AAA-2013J", "active", datetime(2013, 9, 26)),
        ("10-AAA-2013J", "dropout", datetime(2014, 7, 28)),  # a fail that left after the end
        ("10-AAA-2013J", "failed", datetime(2014, 7, 28, 0, 0, 1)),
        ("2-AAA-2013J", "active", datetime(2013, 7, 1)),
        ("2-AAA-2013J", "dropout", datetime(2013, 10, 13)),
        ("3-AAA-2013J", "active", datetime(2013, 9, 21)),
        ("3-AAA-2013J", "dropout", datetime(2014, 6, 26)),  # no date: the module's end
        ("4-AAA-2013J", "active", datetime(2013, 8, 25)),
        ("4-AAA-2013J", "dropout", datetime(2013, 10, 1)),  # a fail that had left
        ("4-AAA-2013J", "failed", datetime(2014, 6, 26)),
        ("5-AAA-2013J", "active", datetime(2013, 8, 30)),
        ("5-AAA-2013J", "dropout", second),  # on the day of registration
        ("6-AAA-2013J", "active", datetime(2013, 5, 28)),  # unknown: left before the start
        ("6-AAA-2013J", "dropout", datetime(2013, 5, 28, 0, 0, 1)),
        ("7-AAA-2013J", "active", datetime(2013, 9, 9)),
        ("7-AAA-2013J", "dropout", datetime(2014, 12, 19)),  # after the module's end
        ("8-AAA-2013J", "active", datetime(2013, 10, 1)),  # unknown: the start
        ("8-AAA-2013J", "failed", datetime(2014, 6, 26)),
        ("9-BBB-2014B", "active", datetime(2014, 2, 1)),  # no registration row, no result
    ]
    assert rows(small, "siakad/mahasiswa", "bool_and(berlaku_sejak = recorded_at)") == [(True,)]


def test_attributes(small: Path) -> None:
    columns = (
        "nim, nama, kode_prodi, angkatan, jalur_masuk, pendidikan_asal, kelompok_penghasilan, "
        "jumlah_percobaan, beban_sks, wilayah, jenis_kelamin, agama, suku, alamat, disabilitas, "
        "kelompok_usia"
    )
    students = {row[0]: row[1:] for row in rows(small, "siakad/mahasiswa", f"distinct {columns}")}
    assert len(students) == 11
    assert students["1-AAA-2013J"] == (
        *("Student 1", "AAA", 2013, None, "HE Qualification", "90-100%", 0, 240),
        *("East Anglian Region", "L", None, None, None, "N", "55<="),
    )
    assert students["2-AAA-2013J"] == (
        *("Student 2", "AAA", 2013, None, "No Formal quals", "10-20%", 1, 60),
        *("Scotland", "P", None, None, None, "Y", "0-35"),
    )
    assert students["3-AAA-2013J"][5] is None  # `?`


def test_reference_tables(small: Path) -> None:
    early, later = datetime(2012, 8, 27), datetime(2012, 12, 28)  # 400 days before the starts
    assert rows(small, "siakad/fakultas") == [("OU", "The Open University", early)]
    assert rows(small, "siakad/program_studi") == [
        ("AAA", "Module AAA", "OU", "lainnya", early),
        ("BBB", "Module BBB", "OU", "lainnya", later),
    ]
    assert rows(small, "siakad/mata_kuliah") == [
        ("AAA", "Module AAA", "AAA", None, early),
        ("BBB", "Module BBB", "BBB", None, later),
    ]


def test_study_plans(small: Path) -> None:
    plans = rows(small, "siakad/krs")
    assert len(plans) == 11
    assert plans[:2] == [
        ("1-AAA-2013J", "AAA", "2013J", "diambil", datetime(2013, 4, 25)),
        ("1-BBB-2014B", "BBB", "2014B", "diambil", datetime(2014, 2, 4)),
    ]


def test_assessments(small: Path) -> None:
    assert rows(small, "lms/tugas") == [
        ("1752", "AAA", "2013J", "TMA", datetime(2013, 10, 20), 10.0, datetime(2012, 8, 27)),
        ("1757", "AAA", "2013J", "Exam", None, 100.0, datetime(2012, 8, 27)),
        ("15008", "BBB", "2014B", "CMA", datetime(2014, 3, 27), 2.5, datetime(2012, 12, 28)),
    ]


def test_submissions(small: Path) -> None:
    banked, first, unmarked = datetime(2013, 9, 30), datetime(2013, 10, 19), datetime(2014, 3, 27)
    assert rows(small, "lms/pengumpulan") == [
        ("1-AAA-2013J", "1752", first, 78.0, False, first),
        ("1-BBB-2014B", "15008", unmarked, None, False, unmarked),
        ("2-AAA-2013J", "1752", banked, 60.0, True, banked),
    ]


def test_clicks_are_summed_per_student_and_day(small: Path) -> None:
    assert rows(small, "lms/aktivitas") == [
        ("1-AAA-2013J", date(2013, 9, 26), 15, datetime(2013, 9, 26, 23, 59, 59)),
        ("1-AAA-2013J", date(2013, 10, 4), 2, datetime(2013, 10, 4, 23, 59, 59)),
        ("1-BBB-2014B", date(2014, 2, 1), 11, datetime(2014, 2, 1, 23, 59, 59)),
    ]


def test_no_attendance_no_grades_no_loaded_at(small: Path) -> None:
    files = {str(file.relative_to(small)) for file in small.rglob("*.parquet")}
    assert files == {
        *(f"siakad/{name}.parquet" for name in ("fakultas", "program_studi", "mahasiswa")),
        *("siakad/mata_kuliah.parquet", "siakad/krs.parquet"),
        *(f"lms/{name}.parquet" for name in ("tugas", "pengumpulan", "aktivitas")),
    }
    for file in files:
        described = duckdb.execute(f"describe from '{small}/{file}'").fetchall()
        assert "loaded_at" not in [row[0] for row in described]


def test_small_extract_keeps_the_contract(small: Path) -> None:
    assert violations(small) == []


# --- Forms of the input ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["unquoted", "bom", "parquet text", "parquet floats"])
def test_other_forms_give_the_same(tmp_path: Path, small: Path, form: str) -> None:
    source = write(tmp_path / form, SMALL, quoted=form != "unquoted", bom=form == "bom")
    if form.startswith("parquet"):
        for name, columns in FILES.items():
            kinds = {c: k for c, k in columns.items() if k != "varchar" and form.endswith("floats")}
            # As pandas writes a column with gaps: floats, NaN where missing.
            casts = ", ".join(f"coalesce(try_cast({c} as double), 'nan') as {c}" for c in kinds)
            duckdb.execute(
                f"""copy (
                    select * {f"replace ({casts})" if kinds else ""}
                    from read_csv('{source}/{name}.csv', all_varchar = true, header = true)
                ) to '{source}/{name}.parquet'"""
            )
            (source / f"{name}.csv").unlink()
    import_oulad(source, tmp_path / "again")
    assert digests(tmp_path / "again") == digests(small)


def test_again_gives_the_same_bytes_and_counts(tmp_path: Path, small: Path) -> None:
    before, steps = digests(small), []
    counts = import_oulad(tmp_path / "oulad", small, progress=steps.append)
    assert digests(small) == before
    assert counts["siakad/mahasiswa"] == 23
    assert steps == [1] * STEPS


# --- Wrong input ----------------------------------------------------------------------------------


def refused(tmp_path: Path, source: Path) -> str:
    """The message of an import that must fail and write nothing."""
    with pytest.raises(InsighteraError) as caught:
        import_oulad(source, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.parquet"))
    return str(caught.value)


def test_every_problem_of_the_files_is_named_at_once(tmp_path: Path) -> None:
    source = write(tmp_path / "oulad", SMALL)
    (source / "vle.csv").unlink()
    (source / "courses.csv").write_bytes(b"")
    (source / "assessments.csv").write_text("code_module;code_presentation\nAAA;2013J\n")
    (source / "studentVle.csv").write_text(SMALL["studentVle"].strip().splitlines()[0] + "\n")
    (source / "studentAssessment.csv").unlink()
    (source / "studentAssessment.parquet").write_bytes(b"PAR1 not really")
    (source / "studentInfo.csv").write_bytes(
        SMALL["studentInfo"].strip().replace("Wales", "Galles é").encode("latin-1")
    )
    (source / "studentRegistration.parquet").write_bytes(b"")
    message = refused(tmp_path, source)
    for problem in (
        "vle: neither vle.csv nor vle.parquet exists",
        "courses: courses.csv is empty",
        "assessments: column code_module, code_presentation, id_assessment",
        "studentVle: the file holds no rows",
        "studentAssessment: cannot be read",
        "studentInfo: cannot be read",
        "studentRegistration: both",
    ):
        assert f"  - {problem}" in message
    assert "Nothing was written" in message


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "studentVle",
            "546943,3,2",
            "546943,third,2",
            "date holds 'third', which is no whole number",
        ),
        ("studentVle", "546943,3,2", "546943,3.5,2", "date holds '3.5', which is no whole number"),
        ("studentInfo", "N,Pass", "N,Passed", "unknown final_result Passed in 1 rows"),
        ("studentInfo", "1,M,East", "1,X,East", "unknown gender X in 1 rows"),
        ("studentVle", "546943,3,2", "546943,0x3,2", "date holds '0x3', which is no whole number"),
        ("studentVle", "546943,3,2", "546943,1_0,2", "date holds '1_0', which is no whole number"),
        ("studentVle", "546943,3,2", "546943,3,-2", "sum_click holds '-2', which is no whole"),
        ("studentAssessment", "0,78", "0,inf", "score holds 'inf', which is no number"),
        ("studentAssessment", "18,0", "20130101,0", "date_submitted holds '20130101', which is no"),
        ("studentInfo", "BBB,2014B,9", "bbb,2014B,9", "studentInfo: bbb 2014B is not in courses"),
        ("studentVle", "BBB,2014B,1", "BBB,2014b,1", "studentVle: code_presentation 2014b is no"),
        ("vle", "AAA,2013J", "AAA,J2013", "vle: code_presentation J2013 is no year"),
        ("courses", "BBB,2014B", "AAA,2013J", "courses: AAA 2013J stands there 2 times"),
        ("studentRegistration", "AAA,2013J,8,", "AAA,2013J,88,", "the first of them AAA 2013J 88"),
        ("courses", "BBB,2014B", "BBB,2014", "presentation 2014 is no year followed by B"),
        ("assessments", "AAA,2013J,1757", "AAA,2013J,1752", "id_assessment 1752 stands there 2"),
        (
            "studentAssessment",
            "1752,2,",
            "9999,2,",
            "1 rows name an id_assessment that assessments lacks, the first of them 9999",
        ),
        ("studentInfo", "AAA,2013J,3,", "AAA,2013J,2,", "studentInfo: 1 enrolments stand there"),
    ],
)
def test_wrong_values_are_named(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    assert old in SMALL[name]
    source = write(tmp_path / "oulad", {**SMALL, name: SMALL[name].replace(old, new, 1)})
    assert message in refused(tmp_path, source)


@pytest.mark.parametrize(
    ("name", "column", "missing"),
    [
        (name, column, ("?", " ?", "", "\t")[(at + of) % 4])
        for at, name in enumerate(REQUIRED)
        for of, column in enumerate(REQUIRED[name])
    ],
)
def test_a_row_that_cannot_be_placed_is_named(
    tmp_path: Path, name: str, column: str, missing: str
) -> None:
    head, first, *others = SMALL[name].strip().splitlines()
    values = first.split(",")
    values[head.split(",").index(column)] = missing
    text = "\n".join([head, *others, ",".join(values)])
    source = write(tmp_path / "oulad", {**SMALL, name: text}, quoted=False)
    count = len(others) + 1
    assert (
        f"  - {name}.csv: {column} is missing in 1 of {count} rows, first in line {count + 1}: "
        f"{','.join(values).rstrip()}" in refused(tmp_path, source)
    )


def test_of_many_wrong_rows_the_first_is_shown_and_all_are_counted(tmp_path: Path) -> None:
    head, *lines = SMALL["studentVle"].strip().splitlines()
    lines[1] = lines[1].replace("J,1,", "J,?,")
    lines[3] = lines[3].replace("J,1,", "J,one,").replace("3,2", "?,2")
    lines[4] = lines[4].replace("B,1,", "B,,")
    source = write(
        tmp_path / "oulad", {**SMALL, "studentVle": "\n".join([head, "", *lines])}, quoted=False
    )
    message = refused(tmp_path, source)
    assert (
        "id_student is missing in 2 of 5 rows, first in line 4: AAA,2013J,?,546943,-5,7" in message
    )
    assert "id_student holds 'one', which is no integer, in 1 of 5 rows, first in line 6" in message
    assert "date is missing in 1 of 5 rows, first in line 6" in message


def test_the_row_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "oulad", SMALL)
    duckdb.execute(
        f"""copy (
            select * replace (nullif(try_cast(id_student as double), 3) as id_student)
            from read_csv('{source}/studentInfo.csv', all_varchar = true, header = true)
        ) to '{source}/studentInfo.parquet'"""
    )
    (source / "studentInfo.csv").unlink()
    message = refused(tmp_path, source)
    assert "studentInfo.parquet: id_student is missing in 1 of 11 rows, first in row 3" in message


def test_what_is_merely_missing_reaches_the_build(tmp_path: Path) -> None:
    submissions = SMALL["studentAssessment"].replace("1752,1,18", "1752,1,?")
    source = write(tmp_path / "oulad", {**SMALL, "studentAssessment": submissions})
    import_oulad(source, tmp_path / "raw")
    handed_in = rows(tmp_path / "raw", "lms/pengumpulan", "nim, waktu_kumpul, recorded_at")
    assert len(handed_in) == 3
    assert ("1-AAA-2013J", None, None) in handed_in  # the quarantine shows it


def test_many_contradictions_are_cut_and_counted(tmp_path: Path) -> None:
    lines = [f"AAA,1{number}13J,5,{number},1,1" for number in range(10, 40)]
    head = SMALL["studentVle"].strip().splitlines()[0]
    source = write(tmp_path / "oulad", {**SMALL, "studentVle": "\n".join([head, *lines])})
    message = refused(tmp_path, source)
    assert message.count("is no year followed by B") == 20
    assert "and 10 more such sentences" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: _to_folder(folder / "vle.csv"), "vle: vle.csv is a folder, not a file"),
        (
            lambda folder: _gzipped(folder / "vle.csv", "vle.csv.gz"),
            "vle.csv.gz is not read: unpack",
        ),
        (
            lambda folder: _gzipped(folder / "vle.csv", "vle.csv"),
            "vle: vle.csv is compressed; unpack",
        ),
        (
            lambda folder: (folder / "studentVle_2.csv").write_text("more"),
            "studentVle: studentVle.csv is read and studentVle_2.csv beside it is not",
        ),
        (
            lambda folder: (folder / "VLE.CSV").write_text("again"),
            "vle: both VLE.CSV and vle.csv exist; keep one",
        ),
        (
            lambda folder: (folder / "vle.csv").write_bytes(SMALL["vle"].encode("utf-16")),
            "vle: vle.csv is UTF-16; save it as UTF-8",
        ),
        (
            lambda folder: (folder / "studentInfo.csv").write_bytes(
                SMALL["studentInfo"].strip().replace("Scotland", "Écosse").encode()[:-1]
                + "é".encode()[:1]
            ),
            "studentInfo: cannot be read (",
        ),
        (
            lambda folder: (folder / "vle.csv").write_text(
                SMALL["vle"].strip().replace("activity_type", "id_site")
            ),
            "vle: column id_site stands there more than once",
        ),
        (
            lambda folder: (folder / "vle.csv").write_text(SMALL["vle"].strip() + "\n546944,AAA"),
            "Expected Number of Columns: 6 Found: 2",
        ),
    ],
)
def test_what_is_not_read_is_named(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    source = write(tmp_path / "oulad", SMALL)
    change(source)
    said = refused(tmp_path, source)
    assert message in said
    assert said.count("  - ") == 1


def _to_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _gzipped(file: Path, name: str) -> None:
    content = gzip.compress(file.read_bytes())
    file.unlink()
    (file.parent / name).write_bytes(content)


def test_odd_names_are_read_as_they_are(tmp_path: Path, small: Path) -> None:
    files = {
        name: text.replace("id_student", " ID_Student ").replace("activity_type", "")
        for name, text in SMALL.items()
    }
    source = write(tmp_path / "it's [a] *folder?", files)
    (source / "studentInfo.csv").rename(source / "StudentInfo.CSV")
    import_oulad(source, tmp_path / "again")
    assert digests(tmp_path / "again") == digests(small)


def test_blanks_around_a_value_are_none_of_it(tmp_path: Path, small: Path) -> None:
    files = {name: text.replace("AAA,", "\tAAA\u00a0,") for name, text in SMALL.items()}
    import_oulad(write(tmp_path / "blanks", files), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(small)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert "is no folder" in refused(tmp_path, tmp_path / "nowhere")


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    source = write(tmp_path / "oulad", SMALL)
    before = digests(source)
    with pytest.raises(InsighteraError, match="not empty"):
        import_oulad(source, source)
    assert digests(source) == before


# --- The real data --------------------------------------------------------------------------------

real_data = pytest.mark.skipif(
    not REAL.is_dir(),
    reason="no OULAD files in ../shared/data/oulad: set INSIGHTERA_OULAD to their folder",
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real extract, imported once."""
    folder = tmp_path_factory.mktemp("oulad") / "raw"
    import_oulad(REAL, folder)
    return folder


@real_data
def test_real_rows_keep_the_contract(real: Path) -> None:
    assert violations(real) == []


@real_data
def test_nothing_is_lost_on_the_way(real: Path) -> None:
    def original(name: str) -> str:
        return f"'{next(REAL.glob(f'{name}.*'))}'"

    (pair,) = duckdb.execute(
        f"""select
            (select sum(sum_click)::bigint from {original("studentVle")}),
            (select sum(jumlah_klik)::bigint from '{real}/lms/aktivitas.parquet'),
            (select count(*) from {original("studentAssessment")}),
            (select count(*) from '{real}/lms/pengumpulan.parquet'),
            (select count(*) from {original("studentInfo")}),
            (select count(distinct nim) from '{real}/siakad/mahasiswa.parquet'),
            (select count(*) from '{real}/siakad/krs.parquet'),
            (select count(*) from {original("studentInfo")} where final_result = 'Withdrawn'),
            (select count(*) from (
                select nim from '{real}/siakad/mahasiswa.parquet'
                group by nim having arg_max(status, recorded_at) = 'dropout'
            ))
        """
    ).fetchall()
    assert pair[0] == pair[1]
    assert pair[2] == pair[3]
    assert pair[4] == pair[5] == pair[6]
    assert pair[7] == pair[8]


@real_data
def test_the_presentations_of_2013_and_2014b(real: Path) -> None:
    students = rows(real, "siakad/krs", "count(*), count(distinct semester)")
    if students[0][1] != 3:
        pytest.skip("the OULAD files at hand hold other presentations than 2013B, 2013J, 2014B")
    assert students == [(21_333, 3)]
    assert rows(real, "lms/aktivitas", "count(*), sum(jumlah_klik)::bigint") == [
        (1_184_415, 25_804_801)
    ]
    assert rows(real, "siakad/mahasiswa", "histogram(status)") == [
        ({"active": 21_333, "dropout": 6_339, "failed": 5_075, "graduated": 9_928},)
    ]
