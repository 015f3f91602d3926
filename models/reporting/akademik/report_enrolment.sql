with
mahasiswa as (
    select * from {{ ref('dim_mahasiswa_current') }}
),

final as (
    select
        mahasiswa.fakultas_nama,
        mahasiswa.prodi_nama,
        mahasiswa.angkatan,
        case mahasiswa.status
            when 'active' then 'Studying'
            when 'graduated' then 'Graduated'
            when 'dropout' then 'Dropped out'
            when 'failed' then 'Failed'
            when 'on_leave' then 'On leave'
            else mahasiswa.status
        end as status,
        count(*) as student_count
    from mahasiswa
    group by mahasiswa.fakultas_nama, mahasiswa.prodi_nama, mahasiswa.angkatan, mahasiswa.status
)

select * from final
