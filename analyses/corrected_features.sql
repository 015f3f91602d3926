-- What late data corrected: what was believed, from when to when, and what is believed now.
-- Run: dbt show --select corrected_features
with
attendance as (
    select * from {{ ref('features_mahasiswa_attendance') }}
),

final as (
    select
        believed.nim,
        believed.valid_from,
        believed.valid_to,
        believed.attendance_rate_30d as believed_attendance_rate_30d,
        corrected.attendance_rate_30d as attendance_rate_30d,
        believed.system_from as believed_from,
        believed.system_to as believed_until
    from attendance as believed
    inner join attendance as corrected
        on
            believed.nim = corrected.nim
            and believed.valid_from >= corrected.valid_from
            and believed.valid_from < corrected.valid_to
            and corrected.system_to = {{ end_of_time() }}
    where believed.system_to < {{ end_of_time() }}
)

select * from final
