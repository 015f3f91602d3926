with
raw_aktivitas as (
    {{ raw_rows('lms', 'aktivitas') }}
),

final as (
    select
        raw_aktivitas.nim,
        raw_aktivitas.tanggal,
        raw_aktivitas.jumlah_klik,
        raw_aktivitas.recorded_at,
        raw_aktivitas.loaded_at
    from raw_aktivitas
)

select * from final
