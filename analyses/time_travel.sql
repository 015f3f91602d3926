-- What was predicted of every student at an instant, and what was believed of their attendance then.
-- Run: dbt show --select time_travel --vars '{at: "2024-03-01"}' (default: the build's own instant)
with
instants as (
    select {{ "cast('" ~ var('at') ~ "' as timestamp)" if var('at', '') else as_of() }} as chosen_at
),

beliefs as (
    select attendance.*
    from {{ ref('features_mahasiswa_attendance') }} as attendance
    inner join instants
        on
            attendance.valid_from <= instants.chosen_at
            and attendance.valid_to > instants.chosen_at
            and attendance.system_from < instants.chosen_at
            and attendance.system_to >= instants.chosen_at
),

final as (
    select
        mahasiswa.nim,
        mahasiswa.status,
        beliefs.attendance_rate_30d,
        beliefs.absence_streak,
        beliefs.feature_timestamp,
        beliefs.system_from,
        beliefs.system_to
    from {{ ref('dim_mahasiswa') }} as mahasiswa
    inner join instants
        on
            mahasiswa.valid_from < instants.chosen_at
            and mahasiswa.valid_to >= instants.chosen_at
    left join beliefs on mahasiswa.nim = beliefs.nim
)

select * from final
