-- Rank among peers is a table of its own, fed only by rows that came on the day they were recorded: were a late row of
-- one student allowed to move the rank of all the others, what was believed of a whole cohort would change with it.
-- It is told on Mondays: of every day it would be a row per student and day, and hardly move from one to the next.
with
aktivitas as (
    select * from {{ ref('fact_aktivitas_lms') }}
),

mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

scope as (
    select * from {{ feature_scope() }}
),

-- as first known, and not as first recorded: an older version that comes late must not move a student between cohorts
versions as (
    select
        mahasiswa.nim,
        mahasiswa.kode_prodi,
        mahasiswa.angkatan,
        {{ day_number('greatest(mahasiswa.valid_from, mahasiswa.loaded_at)') }} as known_hari,
        row_number() over (
            partition by mahasiswa.nim
            order by greatest(mahasiswa.valid_from, mahasiswa.loaded_at), mahasiswa.valid_from
        ) as version_rank
    from mahasiswa
),

cohorts as (
    select
        versions.nim,
        versions.kode_prodi,
        versions.angkatan,
        versions.known_hari
    from versions
    where versions.version_rank = 1
),

daily as (
    select
        aktivitas.nim,
        {{ day_number('aktivitas.recorded_at') }} as hari,
        scope.since_day,
        scope.until_day,
        sum(aktivitas.jumlah_klik) as klik,
        max(aktivitas.recorded_at) as recorded_at
    from aktivitas
    inner join scope on aktivitas.nim = scope.nim
    where
        {{ day_number('aktivitas.recorded_at') }} >= scope.since_day - 37
        and {{ came_on_its_day('aktivitas') }}
    group by aktivitas.nim, {{ day_number('aktivitas.recorded_at') }}, scope.since_day, scope.until_day
),

-- each day of activity on the Mondays it counts for, and on the first one it counts for no more; day 4 was a Monday
weeks as (
    {{ numbers_between(
        'daily',
        'cast(floor(cast(daily.hari - 4 as double) / 7) as integer) + 1',
        'cast(floor(cast(daily.hari + 33 as double) / 7) as integer)',
        'minggu'
    ) }}
),

windowed as (
    select
        weeks.nim,
        4 + 7 * weeks.minggu as hari,
        sum(case when 4 + 7 * weeks.minggu - weeks.hari <= 30 then weeks.klik else 0 end) as clicks_30d,
        max(weeks.recorded_at) as feature_timestamp
    from weeks
    where 4 + 7 * weeks.minggu between weeks.since_day and weeks.until_day
    group by weeks.nim, weeks.minggu
),

ranked as (
    select
        windowed.nim,
        windowed.hari,
        windowed.feature_timestamp,
        case
            when windowed.clicks_30d > 0 and windowed.hari > cohorts.known_hari
                then percent_rank() over (
                    partition by
                        cohorts.kode_prodi,
                        cohorts.angkatan,
                        windowed.hari,
                        windowed.clicks_30d > 0 and windowed.hari > cohorts.known_hari
                    order by windowed.clicks_30d
                )
        end as clicks_rank
    from windowed
    inner join cohorts on windowed.nim = cohorts.nim
),

final as (
    select
        ranked.nim,
        -- in hundredths: a finer rank would move every week for everyone, and mean nothing
        round(ranked.clicks_rank, 2) as clicks_rank_30d,
        {{ day_start('ranked.hari') }} as valid_from,
        ranked.feature_timestamp,
        ranked.feature_timestamp as loaded_at
    from ranked
)

select * from final
