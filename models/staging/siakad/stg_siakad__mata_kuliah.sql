with
raw_mata_kuliah as (
    {{ raw_rows('siakad', 'mata_kuliah') }}
),

final as (
    select
        raw_mata_kuliah.kode_mk,
        raw_mata_kuliah.nama_mk,
        raw_mata_kuliah.kode_prodi,
        raw_mata_kuliah.sks,
        raw_mata_kuliah.recorded_at,
        raw_mata_kuliah.loaded_at
    from raw_mata_kuliah
)

select * from final
