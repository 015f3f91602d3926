with
raw_mahasiswa as (
    {{ raw_rows('siakad', 'mahasiswa') }}
),

final as (
    select
        raw_mahasiswa.nim,
        raw_mahasiswa.nama as nama_mahasiswa,
        raw_mahasiswa.kode_prodi,
        raw_mahasiswa.angkatan,
        raw_mahasiswa.status,
        raw_mahasiswa.jalur_masuk,
        raw_mahasiswa.pendidikan_asal,
        raw_mahasiswa.kelompok_penghasilan,
        raw_mahasiswa.jumlah_percobaan,
        raw_mahasiswa.beban_sks,
        raw_mahasiswa.wilayah,
        raw_mahasiswa.jenis_kelamin,
        raw_mahasiswa.agama,
        raw_mahasiswa.suku,
        raw_mahasiswa.alamat,
        raw_mahasiswa.disabilitas,
        raw_mahasiswa.kelompok_usia,
        raw_mahasiswa.berlaku_sejak,
        raw_mahasiswa.recorded_at,
        raw_mahasiswa.loaded_at
    from raw_mahasiswa
)

select * from final
