with
training_values as (
    select * from {{ ref('monitor_training_values') }}
),

feature_values as (
    select * from {{ ref('monitor_feature_values') }}
),

prediction_history as (
    select * from {{ ref('monitor_prediction_history') }}
),

labels as (
    {{ monitored_labels() }}
),

champions as (
    select distinct
        training_values.use_case,
        training_values.model_version,
        training_values.trained_as_of
    from training_values
),

-- what the champion said of everyone when it first scored them
first_predictions as (
    select
        prediction_history.use_case,
        prediction_history.probability,
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
        prediction_history.probability,
        row_number() over (
            partition by prediction_history.use_case, prediction_history.entity_key
            order by prediction_history.prediction_timestamp desc
        ) as recency
    from prediction_history
),

samples as (
    select
        training_values.use_case,
        'feature' as subject,
        training_values.feature_name,
        training_values.number_value,
        training_values.category_value,
        training_values.row_count as reference_count,
        0 as current_count
    from training_values
    union all
    select
        feature_values.use_case,
        'feature' as subject,
        feature_values.feature_name,
        feature_values.number_value,
        feature_values.category_value,
        0 as reference_count,
        feature_values.row_count as current_count
    from feature_values
    union all
    select
        first_predictions.use_case,
        'prediction' as subject,
        'probability' as feature_name,
        first_predictions.probability as number_value,
        null as category_value,
        1 as reference_count,
        0 as current_count
    from first_predictions
    where first_predictions.prediction_timestamp = first_predictions.first_at
    union all
    select
        latest_predictions.use_case,
        'prediction' as subject,
        'probability' as feature_name,
        latest_predictions.probability as number_value,
        null as category_value,
        0 as reference_count,
        1 as current_count
    from latest_predictions
    inner join labels
        on
            latest_predictions.use_case = labels.use_case
            and latest_predictions.entity_key = labels.entity_key
    where
        latest_predictions.recency = 1
        and labels.label is null
),

measured as (
    {{ drift('samples', ['use_case', 'subject', 'feature_name']) }}
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
        measured.reference_mean,
        measured.current_mean,
        measured.psi,
        measured.psi_noise,
        measured.ks,
        coalesce(measured.psi > {{ var('drift_psi_limit') }} and measured.psi > measured.psi_noise, false)
            as is_drifted,
        {{ as_of() }} as as_of
    from measured
    inner join champions on measured.use_case = champions.use_case
)

select * from final
