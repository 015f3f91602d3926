{%- set horizon_days = var('dropout_horizon_days') | int -%}

with
mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

waktu as (
    select * from {{ ref('dim_waktu') }}
),

-- a cutoff whose horizon is not over has no label yet, even where the dropout has come already: to take only those
-- would teach the model that recent students always leave
matured_cutoffs as (
    select cast(waktu.tanggal as timestamp) as cutoff
    from waktu
    where
        waktu.hari_ke = 1
        and {{ day_number('waktu.tanggal') }} + {{ horizon_days }} <= {{ day_number(as_of()) }}
),

statuses as (
    select
        mahasiswa.nim,
        mahasiswa.is_active,
        mahasiswa.is_current,
        mahasiswa.valid_from,
        mahasiswa.valid_to,
        min(case when mahasiswa.status = 'dropout' then mahasiswa.valid_from end) over (
            partition by mahasiswa.nim
            order by mahasiswa.valid_from
            rows between 1 following and unbounded following
        ) as next_dropout_at
    from mahasiswa
),

labelled as (
    select
        statuses.nim,
        matured_cutoffs.cutoff,
        case
            when
                {{ day_number('statuses.next_dropout_at') }}
                < {{ day_number('matured_cutoffs.cutoff') }} + {{ horizon_days }}
                then 1
            else 0
        end as label
    from matured_cutoffs
    inner join statuses
        on
            matured_cutoffs.cutoff > statuses.valid_from
            and matured_cutoffs.cutoff <= statuses.valid_to
    where statuses.is_active
),

current_population as (
    select
        statuses.nim,
        {{ as_of() }} as cutoff,
        cast(null as integer) as label
    from statuses
    where
        statuses.is_current
        and statuses.is_active
),

final as (
    select
        labelled.nim,
        labelled.cutoff,
        labelled.label
    from labelled
    union all
    select
        current_population.nim,
        current_population.cutoff,
        current_population.label
    from current_population
)

select * from final
