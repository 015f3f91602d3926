with
snapshot_mahasiswa as (
    select * from {{ ref('snapshot_mahasiswa') }}
),

known as (
    select *
    from snapshot_mahasiswa
    where loaded_at < {{ as_of() }}
),

final as (
    select
        known.nim,
        known.nama_mahasiswa,
        known.kode_prodi,
        known.angkatan,
        known.status,
        known.jalur_masuk,
        known.pendidikan_asal,
        known.kelompok_penghasilan,
        known.jumlah_percobaan,
        known.beban_sks,
        known.wilayah,
        known.jenis_kelamin,
        known.agama,
        known.suku,
        known.alamat,
        known.disabilitas,
        known.kelompok_usia,
        known.status = 'active' as is_active,
        {{ next_version('known', ['nim']) }} is null as is_current,
        known.berlaku_sejak,
        known.recorded_at as valid_from,
        coalesce({{ next_version('known', ['nim']) }}, {{ end_of_time() }}) as valid_to,
        known.loaded_at
    from known
)

select * from final
