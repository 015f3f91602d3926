-- Rank among peers is a table of its own, fed only by rows that came on the day they were recorded: were a late row of
-- one student allowed to move the rank of all the others, what was believed of a whole cohort would change with it.
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
        {{ day_number('aktivitas.recorded_at') }} >= scope.since_day - 31
        and {{ came_on_its_day('aktivitas') }}
    group by aktivitas.nim, {{ day_number('aktivitas.recorded_at') }}, scope.since_day, scope.until_day
),

stretches as (
    select
        daily.*,
        least(
            coalesce(
                lead(daily.hari) over (
                    partition by daily.nim
                    order by daily.hari
                ) - 1,
                daily.hari + 31
            ),
            daily.hari + 31,
            daily.until_day
        ) as last_hari
    from daily
),

quiet_days as (
    {{ numbers_between(
        'stretches', 'greatest(stretches.hari + 1, stretches.since_day)', 'stretches.last_hari', 'hari_tenang'
    ) }}
),

timeline as (
    select
        stretches.nim,
        stretches.hari,
        stretches.klik,
        stretches.recorded_at
    from stretches
    union all
    select
        quiet_days.nim,
        quiet_days.hari_tenang as hari,
        0 as klik,
        null as recorded_at
    from quiet_days
),

windowed as (
    select
        timeline.nim,
        timeline.hari,
        sum(timeline.klik) over last_30_days as clicks_30d,
        max(timeline.recorded_at) over last_31_days as feature_timestamp
    from timeline
    window
        last_30_days as (
            partition by timeline.nim order by timeline.hari range between 30 preceding and 1 preceding
        ),
        last_31_days as (
            partition by timeline.nim order by timeline.hari range between 31 preceding and 1 preceding
        )
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
    where windowed.feature_timestamp is not null
),

final as (
    select
        ranked.nim,
        -- in hundredths: a finer rank would move every day for everyone, and mean nothing
        round(ranked.clicks_rank, 2) as clicks_rank_30d,
        {{ day_start('ranked.hari') }} as valid_from,
        ranked.feature_timestamp,
        ranked.feature_timestamp as loaded_at
    from ranked
)

select * from final
