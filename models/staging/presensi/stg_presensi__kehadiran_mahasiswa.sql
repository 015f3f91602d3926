with
raw_kehadiran_mahasiswa as (
    {{ raw_rows('presensi', 'kehadiran_mahasiswa') }}
),

final as (
    select
        raw_kehadiran_mahasiswa.nim,
        raw_kehadiran_mahasiswa.kode_mk,
        raw_kehadiran_mahasiswa.semester,
        raw_kehadiran_mahasiswa.pertemuan_ke,
        raw_kehadiran_mahasiswa.tanggal,
        raw_kehadiran_mahasiswa.status_kehadiran,
        raw_kehadiran_mahasiswa.recorded_at,
        raw_kehadiran_mahasiswa.loaded_at
    from raw_kehadiran_mahasiswa
)

select * from final
