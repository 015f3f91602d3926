with
aktivitas as (
    select * from {{ ref('fact_aktivitas_lms') }}
),

scope as (
    select * from {{ feature_scope() }}
),

daily as (
    select
        aktivitas.nim,
        {{ day_number('aktivitas.recorded_at') }} as hari,
        scope.since_day,
        scope.until_day,
        count(distinct aktivitas.tanggal) as hari_aktif,
        sum(aktivitas.jumlah_klik) as klik,
        max(aktivitas.recorded_at) as recorded_at,
        max(aktivitas.loaded_at) as loaded_at
    from aktivitas
    inner join scope on aktivitas.nim = scope.nim
    group by aktivitas.nim, {{ day_number('aktivitas.recorded_at') }}, scope.since_day, scope.until_day
),

-- from one active day to the next every day is a version of its own, until nothing can move any more
stretches as (
    select
        daily.*,
        lag(daily.hari) over (
            partition by daily.nim
            order by daily.hari
        ) as previous_hari,
        -- who comes back after a long silence still has a last activity, older than any window
        lag(daily.recorded_at) over (
            partition by daily.nim
            order by daily.hari
        ) as previous_recorded_at,
        lag(daily.loaded_at) over (
            partition by daily.nim
            order by daily.hari
        ) as previous_loaded_at,
        least(
            coalesce(
                lead(daily.hari) over (
                    partition by daily.nim
                    order by daily.hari
                ) - 1,
                daily.hari + 91
            ),
            daily.hari + 91,
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
        stretches.hari - stretches.previous_hari as days_since_last_activity,
        stretches.hari_aktif,
        stretches.klik,
        stretches.recorded_at,
        stretches.loaded_at,
        stretches.previous_recorded_at,
        stretches.previous_loaded_at
    from stretches
    where stretches.hari >= stretches.since_day - 91
    union all
    select
        quiet_days.nim,
        quiet_days.hari_tenang as hari,
        quiet_days.hari_tenang - quiet_days.hari as days_since_last_activity,
        0 as hari_aktif,
        0 as klik,
        null as recorded_at,
        null as loaded_at,
        null as previous_recorded_at,
        null as previous_loaded_at
    from quiet_days
),

windowed as (
    select
        timeline.nim,
        timeline.hari,
        least(timeline.days_since_last_activity, 91) as days_since_last_activity,
        coalesce(sum(timeline.hari_aktif) over last_7_days, 0) as active_days_7d,
        coalesce(sum(timeline.hari_aktif) over last_30_days, 0) as active_days_30d,
        coalesce(sum(timeline.hari_aktif) over last_90_days, 0) as active_days_90d,
        coalesce(sum(timeline.klik) over last_7_days, 0) as clicks_7d,
        coalesce(sum(timeline.klik) over last_30_days, 0) as clicks_30d,
        coalesce(sum(timeline.klik) over last_90_days, 0) as clicks_90d,
        coalesce(max(timeline.recorded_at) over last_91_days, timeline.previous_recorded_at) as feature_timestamp,
        coalesce(max(timeline.loaded_at) over last_91_days, timeline.previous_loaded_at) as loaded_at
    from timeline
    window
        last_7_days as (
            partition by timeline.nim order by timeline.hari range between 7 preceding and 1 preceding
        ),
        last_30_days as (
            partition by timeline.nim order by timeline.hari range between 30 preceding and 1 preceding
        ),
        last_90_days as (
            partition by timeline.nim order by timeline.hari range between 90 preceding and 1 preceding
        ),
        last_91_days as (
            partition by timeline.nim order by timeline.hari range between 91 preceding and 1 preceding
        )
),

final as (
    select
        windowed.nim,
        cast(windowed.active_days_7d as integer) as active_days_7d,
        cast(windowed.active_days_30d as integer) as active_days_30d,
        cast(windowed.active_days_90d as integer) as active_days_90d,
        cast(windowed.clicks_7d as bigint) as clicks_7d,
        cast(windowed.clicks_30d as bigint) as clicks_30d,
        cast(windowed.clicks_90d as bigint) as clicks_90d,
        cast(windowed.days_since_last_activity as integer) as days_since_last_activity,
        -- 1: this week is as lively as the month around it
        cast(windowed.clicks_7d as double) / 7 / nullif(cast(windowed.clicks_30d as double) / 30, 0)
            as clicks_trend_7d_30d,
        {{ day_start('windowed.hari') }} as valid_from,
        windowed.feature_timestamp,
        windowed.loaded_at
    from windowed
    where windowed.feature_timestamp is not null
)

select * from final
