with
program_studi as (
    select * from {{ ref('stg_siakad__program_studi') }}
),

fakultas as (
    select * from {{ ref('stg_siakad__fakultas') }}
),

latest_program_studi as (
    {{ latest_version('program_studi', ['kode_prodi']) }}
),

latest_fakultas as (
    {{ latest_version('fakultas', ['kode_fakultas']) }}
),

final as (
    select
        latest_program_studi.kode_prodi,
        latest_program_studi.nama_prodi as prodi_nama,
        latest_program_studi.jenjang,
        latest_program_studi.kode_fakultas,
        latest_fakultas.nama_fakultas as fakultas_nama
    from latest_program_studi
    left join latest_fakultas on latest_program_studi.kode_fakultas = latest_fakultas.kode_fakultas
)

select * from final
