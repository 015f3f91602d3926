-- A student's own rows count also where they came late; classmates' only where they came on the day they were recorded,
-- and not after the student's own: else one late row would change what was believed of a whole class.
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
        kehadiran.kode_mk,
        kehadiran.semester,
        kehadiran.pertemuan_ke,
        kehadiran.is_present,
        kehadiran.is_late,
        {{ day_number('kehadiran.recorded_at') }} as hari,
        date_trunc('minute', kehadiran.recorded_at) as menit,
        {{ day_number('kehadiran.recorded_at') }} * 24 - {{ day_number('kehadiran.tanggal') }} * 24
        + extract(hour from kehadiran.recorded_at) - extract(hour from kehadiran.tanggal)
        + cast(
            extract(minute from kehadiran.recorded_at) - extract(minute from kehadiran.tanggal) as double
        ) / 60 as jam,
        kehadiran.recorded_at,
        kehadiran.loaded_at
    from kehadiran
    inner join scope on kehadiran.nim = scope.nim
    where {{ day_number('kehadiran.recorded_at') }} >= scope.since_day - 99
),

classmates as (
    select
        kehadiran.nim,
        kehadiran.kode_mk,
        kehadiran.semester,
        kehadiran.pertemuan_ke,
        kehadiran.is_present,
        {{ day_number('kehadiran.recorded_at') }} as hari,
        date_trunc('minute', kehadiran.recorded_at) as menit
    from kehadiran
    where {{ came_on_its_day('kehadiran') }}
),

-- how many of a meeting's rows there were by each day, and how many of them present
class_days as (
    select
        classmates.kode_mk,
        classmates.semester,
        classmates.pertemuan_ke,
        classmates.hari,
        count(*) as pertemuan,
        count(case when classmates.is_present then 1 end) as hadir
    from classmates
    group by classmates.kode_mk, classmates.semester, classmates.pertemuan_ke, classmates.hari
),

class_of_meeting as (
    select
        meetings.nim,
        meetings.hari,
        sum(class_days.pertemuan) as kelas_pertemuan,
        sum(class_days.hadir) as kelas_hadir
    from meetings
    inner join class_days
        on
            meetings.kode_mk = class_days.kode_mk
            and meetings.semester = class_days.semester
            and meetings.pertemuan_ke = class_days.pertemuan_ke
            and meetings.hari >= class_days.hari
    group by meetings.nim, meetings.hari
),

-- Minutes of a meeting in which at most five stood on its list: where more do, the door says it, and not a person.
few_together as (
    select
        classmates.kode_mk,
        classmates.semester,
        classmates.pertemuan_ke,
        classmates.menit,
        min(classmates.nim) as first_nim,
        max(classmates.nim) as last_nim
    from classmates
    where classmates.is_present
    group by classmates.kode_mk, classmates.semester, classmates.pertemuan_ke, classmates.menit
    having count(*) <= 5
),

-- of one alone, the first is the last
own_minutes as (
    select
        meetings.nim,
        meetings.hari,
        meetings.kode_mk,
        meetings.semester,
        meetings.pertemuan_ke,
        meetings.menit
    from meetings
    inner join few_together
        on
            meetings.kode_mk = few_together.kode_mk
            and meetings.semester = few_together.semester
            and meetings.pertemuan_ke = few_together.pertemuan_ke
            and meetings.menit = few_together.menit
    where
        meetings.is_present
        and (meetings.nim <> few_together.first_nim or meetings.nim <> few_together.last_nim)
),

paired as (
    select
        own_minutes.nim,
        own_minutes.hari,
        count(*) as bersama
    from own_minutes
    group by own_minutes.nim, own_minutes.hari
),

pairs as (
    select
        own_minutes.nim,
        own_minutes.hari,
        classmates.nim as partner
    from own_minutes
    inner join classmates
        on
            own_minutes.kode_mk = classmates.kode_mk
            and own_minutes.semester = classmates.semester
            and own_minutes.pertemuan_ke = classmates.pertemuan_ke
            and own_minutes.menit = classmates.menit
            and own_minutes.nim <> classmates.nim
    where classmates.is_present
),

-- One meeting with somebody says nothing of a day but that there was one: only those who meet again within the window
-- are counted day by day.
met_again as (
    select
        pairs.nim,
        pairs.partner,
        pairs.hari,
        lag(pairs.hari) over (
            partition by pairs.nim, pairs.partner
            order by pairs.hari
        ) as previous_hari,
        lead(pairs.hari) over (
            partition by pairs.nim, pairs.partner
            order by pairs.hari
        ) as next_hari
    from pairs
),

repeated as (
    select
        met_again.nim,
        met_again.partner,
        met_again.hari
    from met_again
    where met_again.hari - met_again.previous_hari < 14 or met_again.next_hari - met_again.hari < 14
),

own_days as (
    select
        meetings.nim,
        meetings.hari,
        count(*) as pertemuan,
        count(case when meetings.is_present then 1 end) as hadir,
        count(case when meetings.is_late then 1 end) as terlambat,
        max(case when meetings.is_present then meetings.jam end) as jam,
        max(meetings.recorded_at) as recorded_at,
        max(meetings.loaded_at) as loaded_at
    from meetings
    group by meetings.nim, meetings.hari
),

daily as (
    select
        own_days.*,
        coalesce(paired.bersama, 0) as bersama,
        class_of_meeting.kelas_pertemuan,
        class_of_meeting.kelas_hadir
    from own_days
    left join paired
        on
            own_days.nim = paired.nim
            and own_days.hari = paired.hari
    left join class_of_meeting
        on
            own_days.nim = class_of_meeting.nim
            and own_days.hari = class_of_meeting.hari
),

instants as (
    {{ moving_days('daily', windows=[14, 98]) }}
),

partners as (
    select
        instants.nim,
        instants.hari as valid_hari,
        repeated.partner,
        count(*) as bersama
    from instants
    inner join repeated
        on
            instants.nim = repeated.nim
            and instants.hari > repeated.hari
            and instants.hari <= repeated.hari + 14
    group by instants.nim, instants.hari, repeated.partner
),

closest as (
    select
        partners.nim,
        partners.valid_hari,
        max(partners.bersama) as bersama
    from partners
    group by partners.nim, partners.valid_hari
),

timeline as (
    {{ moving_timeline('daily', [
        'pertemuan', 'hadir', 'terlambat', 'jam', 'bersama', 'kelas_pertemuan', 'kelas_hadir', 'recorded_at',
        'loaded_at'
    ]) }}
),

windowed as (
    select
        timeline.nim,
        timeline.hari,
        timeline.is_instant,
        sum(timeline.pertemuan) over last_14_days as pertemuan,
        sum(timeline.hadir) over last_14_days as hadir,
        sum(timeline.terlambat) over last_14_days as terlambat,
        max(timeline.jam) over last_14_days as jam,
        sum(timeline.bersama) over last_14_days as bersama,
        sum(timeline.kelas_pertemuan) over last_14_days as kelas_pertemuan,
        sum(timeline.kelas_hadir) over last_14_days as kelas_hadir,
        sum(timeline.pertemuan) over days_before as pertemuan_sebelumnya,
        sum(timeline.hadir) over days_before as hadir_sebelumnya,
        sum(timeline.terlambat) over days_before as terlambat_sebelumnya,
        -- one day longer than the longest window: on the day it leaves, a row still is why the value moved
        max(timeline.recorded_at) over last_99_days as feature_timestamp,
        max(timeline.loaded_at) over last_99_days as loaded_at
    from timeline
    window
        last_14_days as ({{ days_before(14) }}),
        days_before as ({{ days_before(98, 15) }}),
        last_99_days as ({{ days_before(99) }})
),

final as (
    select
        windowed.nim,
        cast(windowed.hadir as double) / nullif(windowed.pertemuan, 0) as attendance_rate_14d,
        cast(windowed.hadir_sebelumnya as double) / nullif(windowed.pertemuan_sebelumnya, 0) as attendance_rate_usual,
        cast(windowed.hadir as double) / nullif(windowed.pertemuan, 0)
        - cast(windowed.hadir_sebelumnya as double) / nullif(windowed.pertemuan_sebelumnya, 0) as attendance_change,
        cast(windowed.hadir as double) / nullif(windowed.pertemuan, 0)
        - cast(windowed.kelas_hadir as double) / nullif(windowed.kelas_pertemuan, 0) as attendance_against_class,
        cast(windowed.terlambat as double) / nullif(windowed.hadir, 0) as late_share_14d,
        cast(windowed.terlambat as double) / nullif(windowed.hadir, 0)
        - cast(windowed.terlambat_sebelumnya as double) / nullif(windowed.hadir_sebelumnya, 0) as late_change,
        cast(windowed.bersama as double) / nullif(windowed.hadir, 0) as same_minute_share_14d,
        cast(
            case
                when windowed.hadir > 0
                    then greatest(coalesce(closest.bersama, 0), case when windowed.bersama > 0 then 1 else 0 end)
            end as integer
        ) as same_minute_partner_14d,
        cast(windowed.jam as double) as record_lag_hours_14d,
        {{ day_start('windowed.hari') }} as valid_from,
        windowed.feature_timestamp,
        windowed.loaded_at
    from windowed
    left join closest
        on
            windowed.nim = closest.nim
            and windowed.hari = closest.valid_hari
    where windowed.is_instant
)

select * from final
