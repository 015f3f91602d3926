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
        max({{ day_number('aktivitas.recorded_at') }}) as hari_terakhir,
        max(aktivitas.recorded_at) as recorded_at,
        max(aktivitas.loaded_at) as loaded_at
    from aktivitas
    inner join scope on aktivitas.nim = scope.nim
    where {{ day_number('aktivitas.recorded_at') }} >= scope.since_day - 91
    group by aktivitas.nim, {{ day_number('aktivitas.recorded_at') }}, scope.since_day, scope.until_day
),

instants as (
    {{ moving_days('daily', windows=[7, 30, 90]) }}
),

timeline as (
    {{ moving_timeline('daily', [
        'hari_terakhir', 'hari_aktif', 'klik', 'recorded_at', 'loaded_at'
    ]) }}
),

windowed as (
    select
        timeline.nim,
        timeline.hari,
        timeline.is_instant,
        coalesce(sum(timeline.hari_aktif) over last_7_days, 0) as active_days_7d,
        coalesce(sum(timeline.hari_aktif) over last_30_days, 0) as active_days_30d,
        coalesce(sum(timeline.hari_aktif) over last_90_days, 0) as active_days_90d,
        coalesce(sum(timeline.klik) over last_7_days, 0) as clicks_7d,
        coalesce(sum(timeline.klik) over last_30_days, 0) as clicks_30d,
        coalesce(sum(timeline.klik) over last_90_days, 0) as clicks_90d,
        max(timeline.hari_terakhir) over last_91_days as hari_terakhir,
        -- one day longer than the longest window: on the day it leaves, a row still is why the value moved
        max(timeline.recorded_at) over last_91_days as feature_timestamp,
        max(timeline.loaded_at) over last_91_days as loaded_at
    from timeline
    window
        last_7_days as ({{ days_before(7) }}),
        last_30_days as ({{ days_before(30) }}),
        last_90_days as ({{ days_before(90) }}),
        last_91_days as ({{ days_before(91) }})
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
        cast(windowed.hari - windowed.hari_terakhir as integer) as days_since_last_activity,
        -- longer ago than any window is not counted
        case when windowed.hari - windowed.hari_terakhir < 91 then {{ day_start('windowed.hari_terakhir') }} end
            as days_since_last_activity__since,
        -- 1: this week is as lively as the month around it
        cast(windowed.clicks_7d as double) / 7 / nullif(cast(windowed.clicks_30d as double) / 30, 0)
            as clicks_trend_7d_30d,
        {{ day_start('windowed.hari') }} as valid_from,
        windowed.feature_timestamp,
        windowed.loaded_at
    from windowed
    where windowed.is_instant
)

select * from final
