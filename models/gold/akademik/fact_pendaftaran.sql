with
pendaftaran as (
    select * from {{ ref('stg_siakad__pendaftaran') }}
),

final as (
    select
        pendaftaran.kode_prodi,
        pendaftaran.semester,
        pendaftaran.daya_tampung,
        pendaftaran.jumlah_pendaftar,
        pendaftaran.jumlah_diterima,
        pendaftaran.jumlah_registrasi,
        {{ next_version('pendaftaran', ['kode_prodi', 'semester']) }} is null as is_current,
        pendaftaran.recorded_at,
        coalesce(
            {{ next_version('pendaftaran', ['kode_prodi', 'semester']) }}, {{ end_of_time() }}
        ) as superseded_at,
        pendaftaran.loaded_at
    from pendaftaran
)

select * from final
