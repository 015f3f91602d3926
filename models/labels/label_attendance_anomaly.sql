with
kehadiran as (
    select * from {{ ref('fact_kehadiran_mahasiswa') }}
),

mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

waktu as (
    select * from {{ ref('dim_waktu') }}
),

days as (
    select distinct
        kehadiran.nim,
        {{ day_number('kehadiran.recorded_at') }} as hari
    from kehadiran
),

cutoffs as (
    select
        cast(waktu.tanggal as timestamp) as cutoff,
        {{ day_number('waktu.tanggal') }} as hari
    from waktu
    where
        waktu.hari_ke = 1
        and cast(waktu.tanggal as timestamp) < {{ as_of() }}
    union all
    select
        {{ as_of() }} as cutoff,
        {{ day_number(as_of()) }} as hari
),

final as (
    select distinct
        days.nim,
        cutoffs.cutoff
    from cutoffs
    inner join days
        on
            cutoffs.hari > days.hari
            and cutoffs.hari <= days.hari + 14
    inner join mahasiswa
        on
            days.nim = mahasiswa.nim
            and cutoffs.cutoff > mahasiswa.valid_from
            and cutoffs.cutoff <= mahasiswa.valid_to
    where mahasiswa.is_active
)

select * from final
