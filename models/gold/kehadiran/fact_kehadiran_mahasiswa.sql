with
kehadiran as (
    select * from {{ ref('stg_presensi__kehadiran_mahasiswa') }}
),

final as (
    select
        kehadiran.nim,
        kehadiran.kode_mk,
        kehadiran.semester,
        kehadiran.pertemuan_ke,
        kehadiran.status_kehadiran,
        kehadiran.status_kehadiran in ('hadir', 'terlambat') as is_present,
        kehadiran.status_kehadiran = 'terlambat' as is_late,
        kehadiran.status_kehadiran = 'alpa' as is_absent,
        kehadiran.tanggal,
        kehadiran.recorded_at,
        kehadiran.loaded_at
    from kehadiran
)

select * from final
