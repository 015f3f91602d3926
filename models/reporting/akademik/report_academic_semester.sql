with
grades as (
    select * from {{ ref('fact_perkuliahan') }}
),

meetings as (
    select * from {{ ref('fact_kehadiran_mahasiswa') }}
),

mahasiswa as (
    select * from {{ ref('dim_mahasiswa_current') }}
),

graded as (
    select
        grades.nim,
        grades.semester,
        count(*) as graded_courses,
        {{ weighted_gpa('grades') }} as gpa,
        avg(grades.nilai_angka) as average_mark,
        avg(case when grades.is_passed then 100 when not grades.is_passed then 0 end) as passed_percent
    from grades
    where grades.is_current
    group by grades.nim, grades.semester
),

attended as (
    select
        meetings.nim,
        meetings.semester,
        avg(case when meetings.is_present then 100 when not meetings.is_present then 0 end)
            as attendance_percent
    from meetings
    group by meetings.nim, meetings.semester
),

studying as (
    select
        graded.graded_courses,
        graded.gpa,
        graded.average_mark,
        graded.passed_percent,
        attended.attendance_percent,
        coalesce(graded.nim, attended.nim) as nim,
        coalesce(graded.semester, attended.semester) as semester
    from graded
    full outer join attended on graded.nim = attended.nim and graded.semester = attended.semester
),

final as (
    select
        mahasiswa.fakultas_nama,
        regexp_replace(mahasiswa.fakultas_nama, '^Fakultas ', '') as fakultas_label,
        mahasiswa.prodi_nama,
        mahasiswa.angkatan,
        studying.semester,
        studying.semester = max(studying.semester) over () as is_latest,
        coalesce(
            studying.semester
            = max(case when studying.graded_courses > 0 then studying.semester end) over (),
            false
        ) as is_latest_graded,
        count(*) over (partition by mahasiswa.fakultas_nama, studying.semester) >= {{ var('smallest_group') }}
            as is_shown_by_fakultas,
        count(*) over (partition by mahasiswa.prodi_nama) >= {{ var('smallest_group') }} as is_shown_by_prodi,
        coalesce(studying.graded_courses, 0) as graded_courses,
        studying.gpa,
        studying.average_mark,
        studying.passed_percent,
        studying.attendance_percent
    from studying
    inner join mahasiswa on studying.nim = mahasiswa.nim
)

select * from final
