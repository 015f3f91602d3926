with
raw_tugas as (
    {{ raw_rows('lms', 'tugas') }}
),

final as (
    select
        raw_tugas.id_tugas,
        raw_tugas.kode_mk,
        raw_tugas.semester,
        raw_tugas.jenis,
        raw_tugas.tenggat,
        raw_tugas.bobot_persen,
        raw_tugas.recorded_at,
        raw_tugas.loaded_at
    from raw_tugas
)

select * from final
