with
nilai as (
    select * from {{ ref('stg_siakad__nilai') }}
),

mata_kuliah as (
    select * from {{ ref('dim_mata_kuliah') }}
),

final as (
    select
        nilai.nim,
        nilai.kode_mk,
        nilai.semester,
        -- the credits that the course had when the grade was given: a later version must not change the past
        mata_kuliah.sks,
        nilai.nilai_angka,
        nilai.nilai_huruf,
        nilai.bobot,
        nilai.bobot >= 1 as is_passed,
        {{ next_version('nilai', ['nim', 'kode_mk', 'semester']) }} is null as is_current,
        nilai.recorded_at,
        coalesce(
            {{ next_version('nilai', ['nim', 'kode_mk', 'semester']) }}, {{ end_of_time() }}
        ) as superseded_at,
        greatest(nilai.loaded_at, coalesce(mata_kuliah.loaded_at, nilai.loaded_at)) as loaded_at
    from nilai
    left join mata_kuliah
        on
            nilai.kode_mk = mata_kuliah.kode_mk
            and nilai.recorded_at >= mata_kuliah.valid_from
            and nilai.recorded_at < mata_kuliah.valid_to
)

select * from final
