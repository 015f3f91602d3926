{%- set daily = var('freshness_limit_days') -%}
with
this_build as (
    select * from {{ ref('this_build') }}
),

tables as (
    -- grades and students change by the semester: no age is too old
    {{ freshness_of('gold', 'dim_mahasiswa', 'valid_from', 'loaded_at') }}
    union all
    {{ freshness_of('gold', 'fact_perkuliahan', 'recorded_at', 'loaded_at') }}
    union all
    {{ freshness_of('gold', 'fact_kehadiran_mahasiswa', 'recorded_at', 'loaded_at', daily) }}
    union all
    {{ freshness_of('gold', 'fact_aktivitas_lms', 'recorded_at', 'loaded_at', daily) }}
    union all
    {{ freshness_of('gold', 'fact_pengumpulan_tugas', 'recorded_at', 'loaded_at', daily) }}
    {%- for model in monitored_feature_tables() %}
    union all
    {{ freshness_of('features', model, 'feature_timestamp', 'system_from', current='is_current') }}
    {%- endfor %}
    {%- for name in monitored_use_cases() %}
    union all
    {{ freshness_of(
        'model', 'monitor_training_' ~ name, 'trained_as_of', name=name,
        limit_days=use_case_meta(name).get('retrain', {}).get('max_age_days')
    ) }}
    union all
    -- only who changed is scored again: a prediction is as good as new while its features stand
    {{ freshness_of(
        'published', 'monitor_prediction_history', 'prediction_timestamp', name=name,
        where="use_case = '" ~ name ~ "'"
    ) }}
    {%- endfor %}
),

aged as (
    select
        tables.*,
        {{ day_number('this_build.as_of') }} - {{ day_number('tables.newest_at') }} as age_days,
        {{ day_number(build_started_at()) }} - {{ day_number('tables.newest_at') }} as clock_age_days,
        {{ day_number('this_build.as_of') }} - tables.arrival_day as silent_days,
        {{ day_number(build_started_at()) }} - tables.arrival_day as clock_silent_days,
        {{ day_number('this_build.as_of') }} - 364 - tables.last_year_arrival_day as last_year_silent_days,
        this_build.is_as_of_given,
        this_build.as_of
    from tables
    cross join this_build
),

final as (
    select
        aged.room,
        aged.table_name,
        aged.row_count,
        aged.newest_at,
        aged.newest_loaded_at,
        aged.age_days,
        aged.clock_age_days,
        aged.limit_days,
        aged.silent_days,
        aged.clock_silent_days,
        aged.last_year_silent_days,
        aged.usual_gap_days,
        coalesce(aged.age_days > aged.limit_days, false) as is_stale,
        -- where `as_of` follows the newest row, every feed may have stopped and nothing is old at `as_of`
        coalesce(aged.clock_age_days > aged.limit_days and not aged.is_as_of_given, false)
            as is_stale_by_the_clock,
        coalesce(aged.silent_days > aged.usual_gap_days, false) as is_late,
        coalesce(aged.clock_silent_days > aged.usual_gap_days and not aged.is_as_of_given, false)
            as is_late_by_the_clock,
        -- grades come in two bursts a year: late as a year before, give or take the week, is the season
        coalesce(
            aged.silent_days > aged.usual_gap_days
            and aged.last_year_silent_days > aged.usual_gap_days
            and aged.silent_days <= aged.last_year_silent_days + 7,
            false
        ) as is_late_as_last_year,
        aged.is_as_of_given,
        aged.as_of
    from aged
)

select * from final
