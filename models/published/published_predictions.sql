with
history as (
    select * from {{ ref('monitor_prediction_history') }}
),

ranked as (
    select
        history.*,
        row_number() over (
            partition by history.use_case, history.entity_key, history.target
            order by history.prediction_timestamp desc
        ) as age_rank
    from history
),

final as (
    select
        ranked.use_case,
        ranked.entity_type,
        ranked.entity_key,
        ranked.target,
        ranked.horizon,
        ranked.value,
        ranked.lower,
        ranked.upper,
        ranked.score,
        ranked.category,
        ranked.is_flagged,
        ranked.model_version,
        ranked.feature_timestamp,
        ranked.prediction_timestamp
    from ranked
    where ranked.age_rank = 1
)

select * from final
