with
raw_dosen as (
    {{ raw_rows('siakad', 'dosen') }}
),

final as (
    select
        raw_dosen.nidn,
        raw_dosen.nama,
        raw_dosen.kode_prodi,
        raw_dosen.jabatan,
        raw_dosen.status,
        raw_dosen.jenis_kelamin,
        raw_dosen.agama,
        raw_dosen.kelompok_usia,
        raw_dosen.berlaku_sejak,
        raw_dosen.recorded_at,
        raw_dosen.loaded_at
    from raw_dosen
)

select * from final
