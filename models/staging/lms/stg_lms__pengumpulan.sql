with
raw_pengumpulan as (
    {{ raw_rows('lms', 'pengumpulan') }}
),

final as (
    select
        raw_pengumpulan.nim,
        raw_pengumpulan.id_tugas,
        raw_pengumpulan.waktu_kumpul,
        raw_pengumpulan.skor,
        raw_pengumpulan.dari_sebelumnya,
        raw_pengumpulan.recorded_at,
        raw_pengumpulan.loaded_at
    from raw_pengumpulan
)

select * from final
