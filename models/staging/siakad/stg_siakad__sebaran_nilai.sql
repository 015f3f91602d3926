with
raw_sebaran_nilai as (
    {{ raw_rows('siakad', 'sebaran_nilai') }}
),

final as (
    select
        raw_sebaran_nilai.kode_mk,
        raw_sebaran_nilai.semester,
        raw_sebaran_nilai.kelas,
        raw_sebaran_nilai.jumlah_peserta,
        raw_sebaran_nilai.jumlah_a,
        raw_sebaran_nilai.jumlah_ab,
        raw_sebaran_nilai.jumlah_b,
        raw_sebaran_nilai.jumlah_bc,
        raw_sebaran_nilai.jumlah_c,
        raw_sebaran_nilai.jumlah_d,
        raw_sebaran_nilai.jumlah_e,
        raw_sebaran_nilai.recorded_at,
        raw_sebaran_nilai.loaded_at
    from raw_sebaran_nilai
)

select * from final
