with
raw_registrasi_prodi as (
    {{ raw_rows('siakad', 'registrasi_prodi') }}
),

final as (
    select
        raw_registrasi_prodi.kode_prodi,
        raw_registrasi_prodi.semester,
        raw_registrasi_prodi.jumlah_aktif,
        raw_registrasi_prodi.jumlah_baru,
        raw_registrasi_prodi.recorded_at,
        raw_registrasi_prodi.loaded_at
    from raw_registrasi_prodi
)

select * from final
