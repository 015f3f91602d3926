with
kehadiran as (
    select * from {{ ref('fact_kehadiran_mahasiswa') }}
),

scope as (
    select * from {{ feature_scope() }}
),

meetings as (
    select
        kehadiran.nim,
        {{ day_number('kehadiran.recorded_at') }} as hari,
        kehadiran.is_present,
        kehadiran.is_late,
        kehadiran.is_absent,
        kehadiran.recorded_at,
        kehadiran.loaded_at,
        row_number() over (
            partition by kehadiran.nim
            order by
                kehadiran.recorded_at, kehadiran.tanggal, kehadiran.kode_mk, kehadiran.semester, kehadiran.pertemuan_ke
        ) as urutan
    from kehadiran
    inner join scope on kehadiran.nim = scope.nim
    where {{ day_number('kehadiran.recorded_at') }} >= scope.since_day - 91
),

daily as (
    select
        meetings.nim,
        meetings.hari,
        count(*) as pertemuan,
        count(case when meetings.is_present then 1 end) as hadir,
        count(case when meetings.is_late then 1 end) as terlambat,
        min(meetings.urutan) as first_urutan,
        max(meetings.urutan) as last_urutan,
        max(case when not meetings.is_absent then meetings.urutan end) as last_not_absent,
        max(meetings.recorded_at) as recorded_at,
        max(meetings.loaded_at) as loaded_at
    from meetings
    group by meetings.nim, meetings.hari
),

instants as (
    {{ moving_days('daily', windows=[7, 30, 90]) }}
),

timeline as (
    {{ moving_timeline('daily', [
        'pertemuan', 'hadir', 'terlambat', 'first_urutan', 'last_urutan', 'last_not_absent', 'recorded_at',
        'loaded_at'
    ]) }}
),

windowed as (
    select
        timeline.nim,
        timeline.hari,
        timeline.is_instant,
        sum(timeline.hadir) over last_7_days as hadir_7d,
        sum(timeline.pertemuan) over last_7_days as pertemuan_7d,
        sum(timeline.hadir) over last_30_days as hadir_30d,
        sum(timeline.pertemuan) over last_30_days as pertemuan_30d,
        sum(timeline.terlambat) over last_30_days as terlambat_30d,
        sum(timeline.hadir) over last_90_days as hadir_90d,
        sum(timeline.pertemuan) over last_90_days as pertemuan_90d,
        min(timeline.first_urutan) over last_90_days as first_urutan,
        max(timeline.last_urutan) over last_90_days as last_urutan,
        max(timeline.last_not_absent) over last_90_days as last_not_absent,
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
        cast(windowed.hadir_7d as double) / windowed.pertemuan_7d as attendance_rate_7d,
        cast(windowed.hadir_30d as double) / windowed.pertemuan_30d as attendance_rate_30d,
        cast(windowed.hadir_90d as double) / windowed.pertemuan_90d as attendance_rate_90d,
        cast(coalesce(windowed.terlambat_30d, 0) as integer) as late_count_30d,
        cast(
            coalesce(
                windowed.last_urutan - coalesce(windowed.last_not_absent, windowed.first_urutan - 1), 0
            ) as integer
        ) as absence_streak,
        {{ day_start('windowed.hari') }} as valid_from,
        windowed.feature_timestamp,
        windowed.loaded_at
    from windowed
    where windowed.is_instant
)

select * from final
