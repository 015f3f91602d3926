"""`insightera import oulad`: the Open University Learning Analytics Dataset as the raw contract.

Kuzilek, Hlosta, Zdrahal: Open University Learning Analytics dataset, Sci Data 4:170171 (2017).
`docs/oulad.md` gives every choice and its reason. DuckDB does the work within a memory limit.
"""

import csv
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb

from ml.errors import InsighteraError
from ml.raw_files import ROW_GROUP, RawWriter

PRODUCER = "insightera import oulad"
LEAD_DAYS = 400  # reference rows are recorded so long before a start: nobody enrolled earlier
MEMORY_LIMIT = "1200MB"  # DuckDB's share; beyond it, it spills to disk

# The official seven files and the columns read from them.
_STUDENT = {"code_module": "varchar", "code_presentation": "varchar", "id_student": "integer"}
FILES: Mapping[str, Mapping[str, str]] = {
    "courses": {
        "code_module": "varchar",
        "code_presentation": "varchar",
        "module_presentation_length": "integer",
    },
    "assessments": {
        "code_module": "varchar",
        "code_presentation": "varchar",
        "id_assessment": "integer",
        "assessment_type": "varchar",
        "date": "integer",
        "weight": "double",
    },
    "vle": {"code_module": "varchar", "code_presentation": "varchar", "id_site": "integer"},
    "studentInfo": {
        **_STUDENT,
        "gender": "varchar",
        "region": "varchar",
        "highest_education": "varchar",
        "imd_band": "varchar",
        "age_band": "varchar",
        "num_of_prev_attempts": "integer",
        "studied_credits": "integer",
        "disability": "varchar",
        "final_result": "varchar",
    },
    "studentRegistration": {
        **_STUDENT,
        "date_registration": "integer",
        "date_unregistration": "integer",
    },
    "studentAssessment": {
        "id_assessment": "integer",
        "id_student": "integer",
        "date_submitted": "integer",
        "is_banked": "integer",
        "score": "double",
    },
    "studentVle": {**_STUDENT, "date": "integer", "sum_click": "integer"},
}

# Each yields a sentence where the files contradict one another or the dataset's description.
_CONTRADICTIONS = (
    """
    select format('courses, studentInfo, assessments or studentVle: presentation {} is no year '
        'followed by B (February) or J (October)', code_presentation)
    from (
        select code_presentation from courses
        union select code_presentation from studentInfo
        union select code_presentation from assessments
        union select code_presentation from studentVle
    )
    where not regexp_full_match(code_presentation, '(19|20)[0-9]{2}[BJ]')
    """,
    """
    select format('studentInfo: {} {} is not in courses, so its end is unknown',
        code_module, code_presentation)
    from (select distinct code_module, code_presentation from studentInfo)
    anti join (from courses where module_presentation_length is not null)
        using (code_module, code_presentation)
    """,
    """
    select format('studentInfo: unknown final_result {} in {} rows', final_result, count(*))
    from studentInfo
    where final_result not in ('Pass', 'Distinction', 'Fail', 'Withdrawn')
    group by final_result
    """,
    """
    select format('studentInfo: unknown gender {} in {} rows', gender, count(*))
    from studentInfo
    where gender not in ('M', 'F')
    group by gender
    """,
    """
    select format('{}: {} enrolments stand there more than once', file, count(*))
    from (
        select 'studentInfo' as file from studentInfo
        group by code_module, code_presentation, id_student having count(*) > 1
        union all
        select 'studentRegistration' from studentRegistration
        group by code_module, code_presentation, id_student having count(*) > 1
    )
    group by file
    """,
    """
    select format('assessments: id_assessment {} stands there {} times', id_assessment, count(*))
    from assessments
    group by id_assessment
    having count(*) > 1
    """,
    """
    select format('studentAssessment: {} rows name an id_assessment that assessments lacks',
        count(*))
    from studentAssessment anti join assessments using (id_assessment)
    having count(*) > 0
    """,
)

_MACROS = f"""
    create macro nim(id_student, code_module, code_presentation) as
        id_student || '-' || code_module || '-' || code_presentation;
    -- Midnight UTC of the first day: B is 1 February, J is 1 October.
    create macro starts_at(code_presentation) as
        make_timestamp(
            cast(left(code_presentation, 4) as bigint),
            if(right(code_presentation, 1) = 'B', 2, 10), 1, 0, 0, 0
        );
    create macro announced_at(start) as start - to_days({LEAD_DAYS});
"""

_ENROLMENT = """
    create table enrolment as
    with dated as (
        select
            info.* exclude (wrong),
            starts_at(code_presentation) as started_at,
            started_at + to_days(courses.module_presentation_length) as ends_at,
            started_at + to_days(registration.date_registration) as known_registration,
            started_at + to_days(registration.date_unregistration) as unregistered_at
        from studentInfo as info
        join courses using (code_module, code_presentation)
        left join studentRegistration as registration
            using (code_module, code_presentation, id_student)
    ),
    registered as (
        select
            *,
            -- Unknown: the start, or the unregistration where that came before it.
            case
                when known_registration is not null then known_registration
                when unregistered_at < started_at then unregistered_at
                else started_at
            end as registered_at,
            case
                when unregistered_at is not null then unregistered_at
                when final_result = 'Withdrawn' then ends_at
            end as left_at
        from dated
    ),
    ordered as (
        -- Versions are strictly ordered: what comes no later than its predecessor follows it
        -- by a second.
        select
            *,
            if(left_at > registered_at, left_at, registered_at + interval 1 second) as after,
            if(left_at is null, null, after) as dropout_at,
            coalesce(dropout_at, registered_at) as previous_at,
            if(ends_at > previous_at, ends_at, previous_at + interval 1 second) as result_at
        from registered
    )
    select nim(id_student, code_module, code_presentation) as nim, *
    from ordered
"""

_TABLES = {
    "siakad/fakultas": """
        select
            'OU' as kode_fakultas,
            'The Open University' as nama_fakultas,
            announced_at(min(starts_at(code_presentation))) as recorded_at
        from courses
    """,
    "siakad/program_studi": """
        select
            code_module as kode_prodi,
            'Module ' || code_module as nama_prodi,
            'OU' as kode_fakultas,
            'lainnya' as jenjang,
            announced_at(min(starts_at(code_presentation))) as recorded_at
        from courses
        group by code_module
        order by code_module
    """,
    "siakad/mahasiswa": """
        with versions as (
            select nim, 'active' as status, registered_at as recorded_at from enrolment
            union all
            select nim, 'dropout', dropout_at from enrolment where dropout_at is not null
            union all
            select nim, if(final_result = 'Fail', 'failed', 'graduated'), result_at
            from enrolment
            where final_result in ('Pass', 'Distinction', 'Fail')
        )
        select
            nim,
            'Student ' || id_student as nama,
            code_module as kode_prodi,
            cast(left(code_presentation, 4) as integer) as angkatan,
            versions.status,
            cast(null as varchar) as jalur_masuk,
            highest_education as pendidikan_asal,
            -- One band of the dataset lacks its percent sign.
            if(imd_band = '10-20', '10-20%', imd_band) as kelompok_penghasilan,
            num_of_prev_attempts as jumlah_percobaan,
            studied_credits as beban_sks,
            region as wilayah,
            case gender when 'M' then 'L' when 'F' then 'P' end as jenis_kelamin,
            cast(null as varchar) as agama,
            cast(null as varchar) as suku,
            cast(null as varchar) as alamat,
            disability as disabilitas,
            age_band as kelompok_usia,
            versions.recorded_at as berlaku_sejak,
            versions.recorded_at
        from versions
        join enrolment using (nim)
        order by nim, recorded_at
    """,
    "siakad/mata_kuliah": """
        select
            code_module as kode_mk,
            'Module ' || code_module as nama_mk,
            code_module as kode_prodi,
            cast(null as integer) as sks,
            announced_at(min(starts_at(code_presentation))) as recorded_at
        from courses
        group by code_module
        order by code_module
    """,
    "siakad/krs": """
        select
            nim,
            code_module as kode_mk,
            code_presentation as semester,
            'diambil' as status_krs,
            registered_at as recorded_at
        from enrolment
        order by nim
    """,
    "lms/tugas": """
        select
            cast(id_assessment as varchar) as id_tugas,
            code_module as kode_mk,
            code_presentation as semester,
            assessment_type as jenis,
            starts_at(code_presentation) + to_days("date") as tenggat,
            weight as bobot_persen,
            announced_at(starts_at(code_presentation)) as recorded_at
        from assessments
        order by semester, kode_mk, id_assessment
    """,
    "lms/pengumpulan": """
        select
            nim(id_student, code_module, code_presentation) as nim,
            cast(id_assessment as varchar) as id_tugas,
            starts_at(code_presentation) + to_days(date_submitted) as waktu_kumpul,
            score as skor,
            is_banked = 1 as dari_sebelumnya,
            waktu_kumpul as recorded_at
        from studentAssessment
        join assessments using (id_assessment)
        order by nim, waktu_kumpul, id_assessment
    """,
    "lms/aktivitas": """
        with per_day as (
            select
                code_module, code_presentation, id_student, "date",
                cast(sum(sum_click) as bigint) as jumlah_klik
            from studentVle
            group by code_module, code_presentation, id_student, "date"
        )
        select
            nim(id_student, code_module, code_presentation) as nim,
            cast(starts_at(code_presentation) + to_days("date") as date) as tanggal,
            jumlah_klik,
            -- A day's sum is known when the day is over.
            tanggal + interval '23 hours 59 minutes 59 seconds' as recorded_at
        from per_day
        order by nim, tanggal
    """,
}
STEPS = len(_TABLES)  # how often `progress` is called


def import_oulad(
    source: Path, out: Path, *, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Read the seven OULAD files in `source`, write the raw contract below `out` as Parquet.

    The files are CSV as distributed (`?` for missing) or Parquet, one format per file. `progress`
    is called with 1 for each table written. Returns rows per `<source>/<table>`. Running it again
    gives the same bytes. Raises InsighteraError that names every problem found in the files, or
    says why `out` cannot be written.
    """
    if not source.is_dir():
        raise InsighteraError(
            f"{source} is no folder. Name the folder that holds the OULAD files "
            f"({', '.join(f'{name}.csv' for name in FILES)})."
        )
    with (
        tempfile.TemporaryDirectory(prefix="insightera-oulad-") as scratch,
        duckdb.connect(Path(scratch) / "oulad.duckdb") as connection,
    ):
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute("set enable_progress_bar = false")
        _open(connection, source)
        try:
            connection.execute(_MACROS)
            _refuse(source, _contradictions(connection))
            connection.execute(_ENROLMENT)
            return _write(connection, out, progress)
        except duckdb.Error as error:
            raise InsighteraError(f"Cannot import {source}: {_first_line(error)}") from error


def _write(
    connection: duckdb.DuckDBPyConnection, out: Path, progress: Callable[[int], None] | None
) -> dict[str, int]:
    with RawWriter(out, PRODUCER, _TABLES, loaded_at=False) as writer:
        for path, sql in _TABLES.items():
            for batch in connection.execute(sql).to_arrow_reader(ROW_GROUP):
                writer.write(path, batch)
            if progress is not None:
                progress(1)
    return writer.rows


def _open(connection: duckdb.DuckDBPyConnection, source: Path) -> None:
    """Load each file as a typed table, or name everything wrong with the files."""
    problems = []
    for name, columns in FILES.items():
        try:
            problems += _open_file(connection, source, name, columns)
        except InsighteraError as error:
            problems.append(str(error))
        except (duckdb.Error, OSError, UnicodeError) as error:
            problems.append(f"{name}: cannot be read ({_first_line(error)})")
    _refuse(source, problems)


def _open_file(
    connection: duckdb.DuckDBPyConnection, source: Path, name: str, columns: Mapping[str, str]
) -> list[str]:
    """Load the file as the table `name`, in one pass; return what is wrong with its values."""
    scan = _scan(source, name)
    found = {
        str(column).lower(): (str(column), str(kind))
        for column, kind, *_ in connection.execute(f"describe from {scan}").fetchall()
    }
    missing = [column for column in columns if column not in found]
    if missing:
        raise InsighteraError(
            f"{name}: column {', '.join(missing)} missing; found "
            f"{', '.join(column for column, _ in found.values())}"
        )
    clean = {column: _clean(*found[column]) for column in columns}
    typed = {column: _typed(clean[column], kind) for column, kind in columns.items()}
    selected = ", ".join(f'{sql} as "{column}"' for column, sql in typed.items())
    wrong = ", ".join(
        f"if({typed[column]} is null, '{column} holds ''' || {clean[column]} || ''', which is no "
        f"{kind}', null)"
        for column, kind in columns.items()
        if kind != "varchar"
    )
    connection.execute(
        f"create table {name} as "  # noqa: S608  (names and path are quoted)
        f"select {selected}, coalesce({wrong}) as wrong from {scan}"
    )
    if connection.execute(f"from {name} limit 1").fetchone() is None:
        return [f"{name}: the file holds no rows"]
    sentences = connection.execute(
        f"select min(wrong) from {name} where wrong is not null "  # noqa: S608
        "group by split_part(wrong, ' ', 1) order by 1"
    ).fetchall()
    return [f"{name}: {sentence}" for (sentence,) in sentences]


def _scan(source: Path, name: str) -> str:
    """SQL that reads the file, every CSV column as text."""
    present = [
        file for file in (source / f"{name}.csv", source / f"{name}.parquet") if file.exists()
    ]
    if len(present) == 2:
        raise InsighteraError(f"{name}: both {name}.csv and {name}.parquet exist; keep one")
    if not present:
        raise InsighteraError(f"{name}: neither {name}.csv nor {name}.parquet exists")
    file = present[0]
    if not file.is_file() or file.stat().st_size == 0:
        raise InsighteraError(f"{name}: {file.name} is empty (0 bytes) or no file")
    literal = "'" + str(file).replace("'", "''") + "'"
    if file.suffix == ".parquet":
        return f"read_parquet({literal})"
    with file.open(encoding="utf-8-sig", newline="") as lines:
        header = next(csv.reader(lines), [])
    columns = ", ".join(
        "'" + column.strip().replace("'", "''") + "': 'varchar'" for column in header
    )
    return (
        f"read_csv({literal}, auto_detect = false, header = true, delim = ',', quote = '\"', "
        f"escape = '\"', columns = {{{columns}}})"
    )


def _clean(column: str, kind: str) -> str:
    """The column with what stands for missing made NULL: `?` and blanks, NaN in floats."""
    name = '"' + column.replace('"', '""') + '"'
    if kind == "VARCHAR":
        return f"nullif(nullif(trim({name}), '?'), '')"
    if kind in ("DOUBLE", "FLOAT"):
        return f"if(isnan({name}), null, {name})"
    return name


def _typed(value: str, kind: str) -> str:
    """`value` as `kind`, NULL where it is none; never rounded."""
    if kind != "integer":
        return f"try_cast({value} as {kind})"
    number = f"try_cast({value} as double)"
    return f"if({number} = floor({number}), try_cast({number} as integer), null)"


def _contradictions(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [
        str(sentence)
        for query in _CONTRADICTIONS
        for (sentence,) in connection.execute(f"{query} order by 1 limit 20").fetchall()
    ]


def _refuse(source: Path, problems: list[str]) -> None:
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise InsighteraError(
            f"{source} does not hold the OULAD files as docs/oulad.md describes them:\n{listed}\n"
            "Nothing was written. Mend or fetch the files again and repeat the import."
        )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
