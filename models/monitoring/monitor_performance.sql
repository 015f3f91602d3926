{%- set of_classification = [
    'observed_rate', 'mean_probability', 'positives', 'brier', 'roc_auc', 'top_count', 'top_precision', 'top_recall'
] -%}
{%- set of_reviews = ['precision_reviewed', 'precision_reviewed_lower', 'precision_reviewed_upper'] -%}
{%- set of_forecast = ['observed_mean', 'predicted_mean', 'mae', 'bias', 'coverage', 'interval_width'] -%}
with
prediction_history as (
    select * from {{ ref('monitor_prediction_history') }}
),

reviews as (
    select * from {{ ref('monitor_reviews') }}
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
        prediction_history.target,
        prediction_history.horizon,
        prediction_history.model_version,
        prediction_history.value,
        prediction_history.lower,
        prediction_history.upper,
        prediction_history.category,
        prediction_history.prediction_timestamp,
        lead(prediction_history.prediction_timestamp) over (
            partition by
                prediction_history.use_case,
                prediction_history.entity_key,
                prediction_history.target,
                prediction_history.horizon
            order by prediction_history.prediction_timestamp
        ) as superseded_at
    from prediction_history
),

judged as (
    select
        in_force.use_case,
        labels.task,
        in_force.model_version,
        cast(labels.cutoff as date) as week_start,
        in_force.value,
        in_force.lower,
        in_force.upper,
        coalesce(in_force.category = top_categories.category, false) as is_top,
        labels.label
    from labels
    inner join in_force
        on
            labels.use_case = in_force.use_case
            and labels.entity_key = in_force.entity_key
            and coalesce(labels.target, '') = coalesce(in_force.target, '')
            and coalesce(labels.horizon, 0) = coalesce(in_force.horizon, 0)
            and labels.cutoff >= in_force.prediction_timestamp
            and (in_force.superseded_at is null or labels.cutoff < in_force.superseded_at)
    left join top_categories on in_force.use_case = top_categories.use_case
    where labels.label is not null
),

by_probability as (
    select
        judged.use_case,
        judged.model_version,
        judged.week_start,
        judged.value,
        count(*) as row_count,
        sum(judged.label) as positives,
        sum(power(judged.value - judged.label, 2)) as squared_error,
        sum(case when judged.is_top then 1 else 0 end) as top_count,
        sum(case when judged.is_top then judged.label else 0 end) as top_positives
    from judged
    where judged.task = 'classification'
    group by judged.use_case, judged.model_version, judged.week_start, judged.value
),

cumulated as (
    select
        by_probability.*,
        by_probability.row_count - by_probability.positives as negatives,
        sum(by_probability.row_count - by_probability.positives) over (
            partition by by_probability.use_case, by_probability.model_version, by_probability.week_start
            order by by_probability.value
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
        sum(ranked.positives) as positives,
        sum(ranked.value * ranked.row_count) as probability_sum,
        sum(ranked.squared_error) as squared_error,
        sum(ranked.ordered_pairs) as ordered_pairs,
        cast(sum(ranked.top_count) as double) as top_count,
        sum(ranked.top_positives) as top_positives
    from ranked
    group by ranked.use_case, ranked.model_version, ranked.week_start
),

classified as (
    select
        summed.use_case,
        summed.model_version,
        summed.week_start,
        summed.row_count,
        summed.positives / summed.row_count as observed_rate,
        summed.probability_sum / summed.row_count as mean_probability,
        summed.positives,
        summed.squared_error / summed.row_count as brier,
        summed.ordered_pairs / nullif(summed.positives * (summed.row_count - summed.positives), 0) as roc_auc,
        summed.top_count,
        summed.top_positives / nullif(summed.top_count, 0) as top_precision,
        summed.top_positives / nullif(summed.positives, 0) as top_recall
    from summed
),

forecasted as (
    select
        judged.use_case,
        judged.model_version,
        judged.week_start,
        count(*) as row_count,
        avg(judged.label) as observed_mean,
        avg(judged.value) as predicted_mean,
        avg(abs(judged.value - judged.label)) as mae,
        avg(judged.value - judged.label) as bias,
        avg(case when judged.label between judged.lower and judged.upper then 1.0 else 0.0 end) as coverage,
        avg(judged.upper - judged.lower) as interval_width
    from judged
    where judged.task = 'forecast'
    group by judged.use_case, judged.model_version, judged.week_start
),

reviewed as (
    select
        reviews.use_case,
        reviews.model_version,
        cast({{ as_of() }} as date) as week_start,
        reviews.reviews as row_count,
        reviews.precision_reviewed,
        reviews.precision_reviewed_lower,
        reviews.precision_reviewed_upper
    from reviews
    where reviews.precision_reviewed is not null
),

final as (
    {%- for table, measures in [
        ('classified', of_classification), ('forecasted', of_forecast), ('reviewed', of_reviews)
    ] %}
    {%- set last_table = loop.last %}
    {%- for measure in measures %}
    select
        {{ table }}.use_case,
        {{ table }}.model_version,
        {{ table }}.week_start,
        '{{ measure }}' as measure,
        cast({{ table }}.{{ measure }} as double) as measure_value,
        {{ table }}.row_count
    from {{ table }}
    {{ 'union all' if not (last_table and loop.last) }}
    {%- endfor %}
    {%- endfor %}
)

select * from final
