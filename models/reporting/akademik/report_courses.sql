with
grades as (
    select * from {{ ref('fact_perkuliahan') }}
),

courses as (
    select * from {{ ref('dim_mata_kuliah') }}
),

program_studi as (
    select * from {{ ref('dim_program_studi') }}
),

final as (
    select
        grades.kode_mk,
        coalesce(max(courses.nama_mk), grades.kode_mk) as nama_mk,
        max(program_studi.fakultas_nama) as fakultas_nama,
        max(program_studi.prodi_nama) as prodi_nama,
        grades.semester,
        count(distinct grades.nim) as student_count,
        avg(case when grades.is_passed then 100 when not grades.is_passed then 0 end) as passed_percent,
        avg(grades.nilai_angka) as average_mark
    from grades
    left join courses on grades.kode_mk = courses.kode_mk and courses.is_current
    left join program_studi on courses.kode_prodi = program_studi.kode_prodi
    where grades.is_current
    group by grades.kode_mk, grades.semester
    -- a smaller group would show single students' grades
    having count(distinct grades.nim) >= {{ var('smallest_group') }}
)

select * from final
