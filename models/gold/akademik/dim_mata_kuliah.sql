with
mata_kuliah as (
    select * from {{ ref('stg_siakad__mata_kuliah') }}
),

final as (
    select
        mata_kuliah.kode_mk,
        mata_kuliah.nama_mk,
        mata_kuliah.kode_prodi,
        mata_kuliah.sks,
        {{ next_version('mata_kuliah', ['kode_mk']) }} is null as is_current,
        mata_kuliah.recorded_at as valid_from,
        coalesce({{ next_version('mata_kuliah', ['kode_mk']) }}, {{ end_of_time() }}) as valid_to,
        mata_kuliah.loaded_at
    from mata_kuliah
)

select * from final
