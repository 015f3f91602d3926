with
performance as (
    select * from {{ ref('monitor_performance') }}
),

final as (
    select
        performance.use_case,
        performance.model_version,
        performance.week_start,
        performance.row_count,
        100 * performance.mean_probability as predicted_percent,
        100 * performance.observed_rate as observed_percent,
        performance.mean_probability * performance.row_count as predicted_count,
        performance.positives as observed_count,
        performance.roc_auc,
        performance.brier
    from performance
)

select * from final
