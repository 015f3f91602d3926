with
prediction_history as (
    select * from {{ ref('monitor_prediction_history') }}
),

labels as (
    {{ monitored_labels() }}
),

top_categories as (
    {{ top_categories() }}
),

in_force as (
    select
        prediction_history.use_case,
        prediction_history.entity_key,
        prediction_history.model_version,
        prediction_history.probability,
        prediction_history.risk_category,
        prediction_history.prediction_timestamp,
        lead(prediction_history.prediction_timestamp) over (
            partition by prediction_history.use_case, prediction_history.entity_key
            order by prediction_history.prediction_timestamp
        ) as superseded_at
    from prediction_history
),

judged as (
    select
        in_force.use_case,
        in_force.model_version,
        cast(labels.cutoff as date) as week_start,
        in_force.probability,
        in_force.risk_category = top_categories.category as is_high,
        cast(labels.label as double) as label
    from labels
    inner join in_force
        on
            labels.use_case = in_force.use_case
            and labels.entity_key = in_force.entity_key
            and labels.cutoff >= in_force.prediction_timestamp
            and (in_force.superseded_at is null or labels.cutoff < in_force.superseded_at)
    inner join top_categories on in_force.use_case = top_categories.use_case
    where labels.label is not null
),

by_probability as (
    select
        judged.use_case,
        judged.model_version,
        judged.week_start,
        judged.probability,
        count(*) as row_count,
        sum(judged.label) as positives,
        sum(power(judged.probability - judged.label, 2)) as squared_error,
        sum(case when judged.is_high then 1 else 0 end) as high_count,
        sum(case when judged.is_high then judged.label else 0 end) as high_positives
    from judged
    group by judged.use_case, judged.model_version, judged.week_start, judged.probability
),

cumulated as (
    select
        by_probability.*,
        by_probability.row_count - by_probability.positives as negatives,
        sum(by_probability.row_count - by_probability.positives) over (
            partition by by_probability.use_case, by_probability.model_version, by_probability.week_start
            order by by_probability.probability
            rows between unbounded preceding and current row
        ) as negatives_up_to
    from by_probability
),

-- pairs of a positive and a negative that are in the right order, ties half (Mann & Whitney 1947): ROC AUC
ranked as (
    select
        cumulated.*,
        cumulated.positives * (cumulated.negatives_up_to - 0.5 * cumulated.negatives) as ordered_pairs
    from cumulated
),

summed as (
    select
        ranked.use_case,
        ranked.model_version,
        ranked.week_start,
        cast(sum(ranked.row_count) as bigint) as row_count,
        cast(sum(ranked.positives) as bigint) as positives,
        sum(ranked.probability * ranked.row_count) as probability_sum,
        sum(ranked.squared_error) as squared_error,
        sum(ranked.ordered_pairs) as ordered_pairs,
        cast(sum(ranked.high_count) as bigint) as high_count,
        cast(sum(ranked.high_positives) as bigint) as high_positives
    from ranked
    group by ranked.use_case, ranked.model_version, ranked.week_start
),

final as (
    select
        summed.use_case,
        summed.model_version,
        summed.week_start,
        summed.row_count,
        summed.positives,
        summed.positives / cast(summed.row_count as double) as observed_rate,
        summed.probability_sum / summed.row_count as mean_probability,
        summed.squared_error / summed.row_count as brier,
        summed.ordered_pairs / nullif(cast(summed.positives as double) * (summed.row_count - summed.positives), 0)
            as roc_auc,
        summed.high_count,
        summed.high_positives / nullif(cast(summed.high_count as double), 0) as high_precision,
        summed.high_positives / nullif(cast(summed.positives as double), 0) as high_recall
    from summed
)

select * from final
