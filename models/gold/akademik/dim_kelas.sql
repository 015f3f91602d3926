with
kelas as (
    select * from {{ ref('stg_siakad__kelas') }}
),

final as (
    select
        kelas.kode_mk,
        kelas.semester,
        kelas.kelas,
        kelas.nidn,
        kelas.kapasitas,
        {{ next_version('kelas', ['kode_mk', 'semester', 'kelas']) }} is null as is_current,
        kelas.recorded_at as valid_from,
        coalesce(
            {{ next_version('kelas', ['kode_mk', 'semester', 'kelas']) }}, {{ end_of_time() }}
        ) as valid_to,
        kelas.loaded_at
    from kelas
)

select * from final
