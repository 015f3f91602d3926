{%- set daily = var('freshness_limit_days') -%}
with
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
    {%- for name, features in monitored_use_cases().items() %}
    {%- for model in features.values() %}
    union all
    {{ freshness_of('features', model, 'feature_timestamp', 'system_from', where='is_current') }}
    {%- endfor %}
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

final as (
    select
        tables.room,
        tables.table_name,
        tables.row_count,
        tables.newest_at,
        tables.newest_loaded_at,
        {{ day_number(as_of()) }} - {{ day_number('tables.newest_at') }} as age_days,
        tables.limit_days,
        coalesce(
            {{ day_number(as_of()) }} - {{ day_number('tables.newest_at') }} > tables.limit_days, false
        ) as is_stale,
        {{ as_of() }} as as_of
    from tables
)

select * from final
