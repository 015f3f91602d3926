with
dosen as (
    select * from {{ ref('dim_dosen') }}
),

program_studi as (
    select * from {{ ref('dim_program_studi') }}
),

final as (
    select
        dosen.nidn,
        dosen.nama_dosen,
        dosen.kode_prodi,
        coalesce(program_studi.prodi_nama, dosen.kode_prodi) as prodi_nama,
        program_studi.kode_fakultas,
        program_studi.fakultas_nama,
        dosen.jabatan,
        dosen.status,
        dosen.is_active,
        dosen.valid_from
    from dosen
    left join program_studi on dosen.kode_prodi = program_studi.kode_prodi
    where dosen.is_current
)

select * from final
