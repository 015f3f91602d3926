"""`insightera import oulad`: the Open University Learning Analytics Dataset as the raw contract.

Kuzilek, Hlosta, Zdrahal: Open University Learning Analytics dataset, Sci Data 4:170171 (2017).
`docs/oulad.md` gives every choice and its reason. DuckDB does the work within a memory limit.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

from ml.core.errors import InsighteraError
from ml.raw.files import ROW_GROUP, RawWriter
from ml.raw.importers.oulad_files import FILES, first_lines, load

PRODUCER = "insightera import oulad"
LEAD_DAYS = 400  # reference rows are recorded so long before a start: nobody enrolled earlier
MEMORY_LIMIT = "1200MB"  # DuckDB's share; beyond it, it spills to disk

_NAMED = 20  # contradictions of one kind that are listed; the others are counted

# Each yields a sentence where the files contradict one another or the dataset's description.
_CONTRADICTIONS = (
    """
    select format('{}: code_presentation {} is no year followed by B (February) or J (October), '
        'in {} rows', file, code_presentation, count(*))
    from (
        select 'courses' as file, code_presentation from courses
        union all select 'assessments', code_presentation from assessments
        union all select 'vle', code_presentation from vle
        union all select 'studentInfo', code_presentation from studentInfo
        union all select 'studentRegistration', code_presentation from studentRegistration
        union all select 'studentVle', code_presentation from studentVle
    )
    where not regexp_full_match(code_presentation, '(19|20)[0-9]{2}[BJ]')
    group by file, code_presentation
    """,
    """
    select format('courses: {} {} stands there {} times', code_module, code_presentation, count(*))
    from courses
    group by code_module, code_presentation
    having count(*) > 1
    """,
    """
    select format('{}: {} {} is not in courses, in {} rows',
        file, code_module, code_presentation, count(*))
    from (
        select 'assessments' as file, code_module, code_presentation from assessments
        union all select 'studentInfo', code_module, code_presentation from studentInfo
        union all select 'studentVle', code_module, code_presentation from studentVle
    )
    anti join courses using (code_module, code_presentation)
    group by file, code_module, code_presentation
    """,
    """
    select format('studentRegistration: {} rows name an enrolment that studentInfo lacks, '
            'the first of them {} {} {}',
        count(*),
        arg_min(code_module, (code_module, code_presentation, id_student)),
        arg_min(code_presentation, (code_module, code_presentation, id_student)),
        arg_min(id_student, (code_module, code_presentation, id_student)))
    from studentRegistration anti join studentInfo using (code_module, code_presentation, id_student)
    having count(*) > 0
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
    select format('studentAssessment: {} rows name an id_assessment that assessments lacks, '
        'the first of them {}', count(*), min(id_assessment))
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
            info.* exclude (is_wrong),
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

    The files are CSV as distributed (`?` for missing) or Parquet, one format per file. No row is
    lost: what cannot be placed is refused by name, what is merely missing is NULL. `progress` is
    called with 1 for each table written. Returns rows per `<source>/<table>`. Running it again
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
        _refuse(source, load(connection, source))
        try:
            connection.execute(_MACROS)
            _refuse(source, _contradictions(connection))
            connection.execute(_ENROLMENT)
            return _write(connection, out, progress)
        except duckdb.Error as error:
            raise InsighteraError(f"Cannot import {source}: {first_lines(error)}") from error


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


def _contradictions(connection: duckdb.DuckDBPyConnection) -> list[str]:
    problems = []
    for query in _CONTRADICTIONS:
        sentences = [str(row[0]) for row in connection.execute(f"{query} order by 1").fetchall()]
        problems += sentences[:_NAMED]
        if len(sentences) > _NAMED:
            problems.append(f"and {len(sentences) - _NAMED:,} more such sentences")
    return problems


def _refuse(source: Path, problems: list[str]) -> None:
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise InsighteraError(
            f"{source} does not hold the OULAD files as docs/oulad.md describes them:\n{listed}\n"
            "Nothing was written. Mend or fetch the files again and repeat the import."
        )
