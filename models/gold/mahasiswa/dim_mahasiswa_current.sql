with
mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

program_studi as (
    select * from {{ ref('dim_program_studi') }}
),

final as (
    select
        mahasiswa.nim,
        mahasiswa.nama_mahasiswa,
        mahasiswa.kode_prodi,
        coalesce(program_studi.prodi_nama, mahasiswa.kode_prodi) as prodi_nama,
        program_studi.kode_fakultas,
        program_studi.fakultas_nama,
        mahasiswa.angkatan,
        mahasiswa.status,
        mahasiswa.is_active,
        mahasiswa.valid_from
    from mahasiswa
    left join program_studi on mahasiswa.kode_prodi = program_studi.kode_prodi
    where mahasiswa.is_current
)

select * from final
