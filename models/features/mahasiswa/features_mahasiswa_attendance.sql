with
kehadiran as (
    select * from {{ ref('fact_kehadiran_mahasiswa') }}
),

scope as (
    select * from {{ feature_scope() }}
),

meetings as (
    select
        kehadiran.*,
        {{ day_number('kehadiran.recorded_at') }} as hari
    from kehadiran
    inner join scope on kehadiran.nim = scope.nim
    where {{ day_number('kehadiran.recorded_at') }} >= scope.since_day - 91
),

own_days as (
    select
        meetings.nim,
        meetings.hari,
        count(*) as pertemuan,
        count(case when meetings.is_present then 1 end) as hadir,
        count(case when meetings.is_late then 1 end) as terlambat,
        count(case when meetings.is_absent then 1 end) as alpa,
        max(meetings.recorded_at) as recorded_at,
        max(meetings.loaded_at) as loaded_at
    from meetings
    group by meetings.nim, meetings.hari
),

-- the order within a day says something where one was absent from some of its meetings only
mixed as (
    select
        meetings.nim,
        meetings.hari,
        meetings.is_absent,
        row_number() over (
            partition by meetings.nim, meetings.hari
            order by
                meetings.recorded_at desc, meetings.tanggal desc, meetings.kode_mk desc, meetings.semester desc,
                meetings.pertemuan_ke desc
        ) as dari_akhir
    from meetings
    inner join own_days
        on
            meetings.nim = own_days.nim
            and meetings.hari = own_days.hari
    where own_days.alpa > 0 and own_days.alpa < own_days.pertemuan
),

ends as (
    select
        mixed.nim,
        mixed.hari,
        min(mixed.dari_akhir) - 1 as alpa_di_akhir
    from mixed
    where not mixed.is_absent
    group by mixed.nim, mixed.hari
),

numbered as (
    select
        own_days.*,
        case when own_days.alpa = 0 then 0 else ends.alpa_di_akhir end as alpa_di_akhir,
        sum(own_days.pertemuan) over (
            partition by own_days.nim
            order by own_days.hari
        ) as last_urutan
    from own_days
    left join ends
        on
            own_days.nim = ends.nim
            and own_days.hari = ends.hari
),

-- meetings in the order in which they came: the first and the last of a day, and the last that was not missed
daily as (
    select
        numbered.*,
        numbered.last_urutan - numbered.pertemuan + 1 as first_urutan,
        numbered.last_urutan - numbered.alpa_di_akhir as last_not_absent
    from numbered
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
