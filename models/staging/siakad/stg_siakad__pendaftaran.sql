with
raw_pendaftaran as (
    {{ raw_rows('siakad', 'pendaftaran') }}
),

final as (
    select
        raw_pendaftaran.kode_prodi,
        raw_pendaftaran.semester,
        raw_pendaftaran.daya_tampung,
        raw_pendaftaran.jumlah_pendaftar,
        raw_pendaftaran.jumlah_diterima,
        raw_pendaftaran.jumlah_registrasi,
        raw_pendaftaran.recorded_at,
        raw_pendaftaran.loaded_at
    from raw_pendaftaran
)

select * from final
