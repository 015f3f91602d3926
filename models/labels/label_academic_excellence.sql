{%- set horizon_days = var('excellence_horizon_days') | int -%}

with
mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

perkuliahan as (
    select * from {{ ref('fact_perkuliahan') }}
),

waktu as (
    select * from {{ ref('dim_waktu') }}
),

-- a cutoff whose horizon is not over has no label yet: the first grades of a semester are not its end
matured_cutoffs as (
    select
        cast(waktu.tanggal as timestamp) as cutoff,
        {{ day_start(day_number('waktu.tanggal') ~ ' + ' ~ horizon_days) }} as horizon_end
    from waktu
    where
        extract(day from waktu.tanggal) = 1
        and {{ day_number('waktu.tanggal') }} + {{ horizon_days }} <= {{ day_number(as_of()) }}
),

asked as (
    select
        mahasiswa.nim,
        matured_cutoffs.cutoff,
        matured_cutoffs.horizon_end
    from matured_cutoffs
    inner join mahasiswa
        on
            matured_cutoffs.cutoff > mahasiswa.valid_from
            and matured_cutoffs.cutoff <= mahasiswa.valid_to
    where mahasiswa.is_active
),

grades as (
    select
        perkuliahan.nim,
        perkuliahan.sks,
        perkuliahan.bobot,
        perkuliahan.recorded_at,
        perkuliahan.superseded_at,
        min(perkuliahan.recorded_at) over (
            partition by perkuliahan.nim, perkuliahan.kode_mk, perkuliahan.semester
        ) as first_recorded_at
    from perkuliahan
),

-- the grades that stood at the end of the horizon, corrections included
outcomes as (
    select
        asked.nim,
        asked.cutoff,
        {{ weighted_gpa('grades') }} as gpa,
        count(case when grades.first_recorded_at >= asked.cutoff then 1 end) as new_course_count
    from asked
    inner join grades
        on
            asked.nim = grades.nim
            and asked.horizon_end > grades.recorded_at
            and asked.horizon_end <= grades.superseded_at
    group by asked.nim, asked.cutoff
),

labelled as (
    select
        asked.nim,
        asked.cutoff,
        case
            -- rounded: an average of exactly the bound reaches it however its last bit fell
            when outcomes.new_course_count > 0 and round(outcomes.gpa, 9) >= {{ var('excellence_gpa') }} then 1
            else 0
        end as label
    from asked
    left join outcomes
        on
            asked.nim = outcomes.nim
            and asked.cutoff = outcomes.cutoff
),

current_population as (
    select
        mahasiswa.nim,
        {{ as_of() }} as cutoff,
        cast(null as integer) as label
    from mahasiswa
    where
        mahasiswa.is_current
        and mahasiswa.is_active
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
