with
prediction_history as (
    select * from {{ ref('monitor_prediction_history') }}
),

labels as (
    {{ monitored_labels() }}
),

champions as (
    {%- for name in monitored_use_cases() %}
    select distinct
        '{{ name }}' as use_case,
        model_version,
        trained_as_of
    from {{ ref('monitor_training_' ~ name) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

feature_points as (
    {%- for name in monitored_use_cases() %}
    {%- set training, population = ref('monitor_training_' ~ name), ref('monitor_population_' ~ name) %}
    select
        '{{ name }}' as use_case,
        points.*
    from (
        {{ drift_points(
            training, population, monitored_features(training, 'number'), monitored_features(training, 'category')
        ) }}
    ) as points
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- what the champion said of everyone when it first scored them
first_predictions as (
    select
        prediction_history.use_case,
        prediction_history.value,
        prediction_history.prediction_timestamp,
        min(prediction_history.prediction_timestamp) over (partition by prediction_history.use_case) as first_at
    from prediction_history
    inner join champions
        on
            prediction_history.use_case = champions.use_case
            and prediction_history.model_version = champions.model_version
),

-- what is said of today's population now, by whichever version said it
latest_predictions as (
    select
        prediction_history.use_case,
        prediction_history.entity_key,
        prediction_history.target,
        prediction_history.horizon,
        prediction_history.value,
        row_number() over (
            partition by
                prediction_history.use_case,
                prediction_history.entity_key,
                prediction_history.target,
                prediction_history.horizon
            order by prediction_history.prediction_timestamp desc
        ) as recency
    from prediction_history
),

prediction_points as (
    select
        first_predictions.use_case,
        first_predictions.value,
        1 as reference_count,
        0 as current_count
    from first_predictions
    where first_predictions.prediction_timestamp = first_predictions.first_at
    union all
    select
        latest_predictions.use_case,
        latest_predictions.value,
        0 as reference_count,
        1 as current_count
    from latest_predictions
    inner join labels
        on
            latest_predictions.use_case = labels.use_case
            and latest_predictions.entity_key = labels.entity_key
            and coalesce(latest_predictions.target, '') = coalesce(labels.target, '')
            and coalesce(latest_predictions.horizon, 0) = coalesce(labels.horizon, 0)
    where
        latest_predictions.recency = 1
        and labels.cutoff = {{ as_of() }}
),

points as (
    select
        feature_points.use_case,
        'feature' as subject,
        feature_points.feature_name,
        feature_points.number_value,
        feature_points.category_value,
        feature_points.reference_count,
        feature_points.current_count
    from feature_points
    union all
    select
        prediction_points.use_case,
        'prediction' as subject,
        'value' as feature_name,
        prediction_points.value as number_value,
        null as category_value,
        prediction_points.reference_count,
        prediction_points.current_count
    from prediction_points
),

means as (
    {%- for name in monitored_use_cases() %}
    {%- set training = ref('monitor_training_' ~ name) %}
    {%- for feature in monitored_features(training, 'number') %}
    select
        '{{ name }}' as use_case,
        'feature' as subject,
        '{{ feature }}' as feature_name,
        (select avg({{ finite(feature) }}) from {{ training }}) as reference_mean,
        (select avg({{ finite(feature) }}) from {{ ref('monitor_population_' ~ name) }}) as current_mean
    union all
    {%- endfor %}
    {%- endfor %}
    select
        prediction_points.use_case,
        'prediction' as subject,
        'value' as feature_name,
        avg(case when prediction_points.reference_count = 1 then prediction_points.value end) as reference_mean,
        avg(case when prediction_points.current_count = 1 then prediction_points.value end) as current_mean
    from prediction_points
    group by prediction_points.use_case
),

measured as (
    {{ drift('points', ['use_case', 'subject', 'feature_name']) }}
),

final as (
    select
        measured.use_case,
        measured.subject,
        measured.feature_name,
        champions.model_version,
        champions.trained_as_of,
        measured.reference_rows,
        measured.current_rows,
        measured.reference_null_share,
        measured.current_null_share,
        means.reference_mean,
        means.current_mean,
        measured.psi,
        measured.psi_noise,
        measured.ks,
        coalesce(measured.psi > {{ var('drift_psi_limit') }} and measured.psi > measured.psi_noise, false)
            as is_drifted,
        {{ as_of() }} as as_of
    from measured
    inner join champions on measured.use_case = champions.use_case
    left join means
        on
            measured.use_case = means.use_case
            and measured.subject = means.subject
            and measured.feature_name = means.feature_name
)

select * from final
