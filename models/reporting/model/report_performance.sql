{%- set measures = [
    'observed_rate', 'mean_probability', 'positives', 'roc_auc', 'brier', 'mae', 'bias', 'coverage', 'interval_width'
] -%}
with
performance as (
    select * from {{ ref('monitor_performance') }}
    where measure in ('{{ measures | join("', '") }}')
),

wide as (
    select
        performance.use_case,
        performance.model_version,
        performance.week_start,
        {%- for measure in measures %}
        max(case when performance.measure = '{{ measure }}' then performance.measure_value end) as {{ measure }},
        {%- endfor %}
        max(performance.row_count) as row_count
    from performance
    group by performance.use_case, performance.model_version, performance.week_start
),

final as (
    select
        wide.use_case,
        wide.model_version,
        wide.week_start,
        wide.row_count,
        100 * wide.mean_probability as predicted_percent,
        100 * wide.observed_rate as observed_percent,
        wide.mean_probability * wide.row_count as predicted_count,
        cast(wide.positives as bigint) as observed_count,
        wide.roc_auc,
        wide.brier,
        wide.mae,
        wide.bias,
        wide.coverage,
        wide.interval_width
    from wide
)

select * from final
