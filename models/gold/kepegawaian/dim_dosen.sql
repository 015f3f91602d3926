with
snapshot_dosen as (
    select * from {{ ref('snapshot_dosen') }}
),

known as (
    select *
    from snapshot_dosen
    where loaded_at < {{ as_of() }}
),

final as (
    select
        known.nidn,
        known.nama as nama_dosen,
        known.kode_prodi,
        known.jabatan,
        known.status,
        known.jenis_kelamin,
        known.agama,
        known.kelompok_usia,
        known.status = 'active' as is_active,
        {{ next_version('known', ['nidn']) }} is null as is_current,
        known.berlaku_sejak,
        known.recorded_at as valid_from,
        coalesce({{ next_version('known', ['nidn']) }}, {{ end_of_time() }}) as valid_to,
        known.loaded_at
    from known
)

select * from final
