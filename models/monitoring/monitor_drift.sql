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

{% for name in monitored_use_cases() -%}
{{ name }}_now as (
    select * from {{ ref('monitor_population_' ~ name) }}
    where cutoff = {{ as_of() }}
),

{{ name }}_last_year as (
    select * from {{ ref('monitor_population_' ~ name) }}
    where cutoff < {{ as_of() }}
),

{% endfor -%}
feature_points as (
    {%- for name in monitored_use_cases() %}
    {%- set training = ref('monitor_training_' ~ name) %}
    {%- set kinds = monitored_features_by_kind(training) %}
    select
        '{{ name }}' as use_case,
        'training' as reference,
        points.*
    from (
        {{ drift_points(training, name ~ '_now', kinds.number, kinds.category) }}
    ) as points
    union all
    select
        '{{ name }}' as use_case,
        'last_year' as reference,
        points.*
    from (
        {{ counted_points(name ~ '_last_year', name ~ '_now', kinds.number, kinds.category) }}
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
        feature_points.reference,
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
        'training' as reference,
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
    {%- for feature in monitored_features_by_kind(training).number %}
    select
        '{{ name }}' as use_case,
        'feature' as subject,
        '{{ feature }}' as feature_name,
        (select avg({{ finite(feature) }}) from {{ training }}) as reference_mean,
        (select avg({{ finite(feature) }}) from {{ name }}_last_year) as last_year_mean,
        (select avg({{ finite(feature) }}) from {{ name }}_now) as current_mean
    union all
    {%- endfor %}
    {%- endfor %}
    select
        prediction_points.use_case,
        'prediction' as subject,
        'value' as feature_name,
        avg(case when prediction_points.reference_count = 1 then prediction_points.value end) as reference_mean,
        null as last_year_mean,
        avg(case when prediction_points.current_count = 1 then prediction_points.value end) as current_mean
    from prediction_points
    group by prediction_points.use_case
),

measured as (
    {{ drift('points', ['use_case', 'subject', 'feature_name', 'reference']) }}
),

judged as (
    select
        measured.*,
        abs(measured.current_null_share - measured.reference_null_share) as null_change,
        coalesce(measured.psi > {{ var('drift_psi_limit') }} and measured.psi > measured.psi_noise, false)
            as is_spread_apart,
        coalesce(
            abs(measured.current_null_share - measured.reference_null_share) >= {{ var('drift_missing_limit') }}
            and abs(measured.current_null_share - measured.reference_null_share) > measured.null_share_noise,
            false
        ) as is_missing_apart
    from measured
),

compared as (
    select
        training.use_case,
        training.subject,
        training.feature_name,
        training.reference_rows,
        training.current_rows,
        coalesce(last_year.reference_rows, 0) as last_year_rows,
        training.reference_null_share,
        last_year.reference_null_share as last_year_null_share,
        training.current_null_share,
        training.psi,
        training.psi_noise,
        training.ks,
        last_year.psi as last_year_psi,
        last_year.psi_noise as last_year_psi_noise,
        last_year.ks as last_year_ks,
        training.is_spread_apart or training.is_missing_apart as is_unlike_training,
        last_year.reference_rows > 0
        and (last_year.is_spread_apart or last_year.is_missing_apart) as is_unlike_last_year,
        -- among so few, would last year's comparison have seen what training's did?
        last_year.reference_rows > 0
        and (not training.is_spread_apart or training.psi > last_year.psi_noise)
        and (not training.is_missing_apart or training.null_change > last_year.null_share_noise)
            as is_told_by_last_year
    from judged as training
    left join judged as last_year
        on
            training.use_case = last_year.use_case
            and training.subject = last_year.subject
            and training.feature_name = last_year.feature_name
            and last_year.reference = 'last_year'
    where training.reference = 'training'
),

features_told as (
    select
        compared.*,
        compared.is_unlike_training
        and coalesce(compared.is_told_by_last_year and not compared.is_unlike_last_year, false) as is_season
    from compared
),

-- predictions follow the features: where each that moved moved as every year, so did they
told as (
    select
        features_told.*,
        max(case when features_told.is_season then 1 else 0 end)
            over (partition by features_told.use_case) as seasons,
        max(
            case
                when
                    features_told.subject = 'feature'
                    and features_told.is_unlike_training
                    and not features_told.is_season
                    then 1
                else 0
            end
        ) over (partition by features_told.use_case) as drifts
    from features_told
),

stated as (
    select
        told.*,
        case
            when told.psi is null then 'nothing to compare'
            when told.is_season then 'season'
            when told.is_unlike_training and told.subject = 'prediction' and told.seasons > told.drifts then 'season'
            when told.is_unlike_training then 'drift'
            when told.psi > {{ var('drift_psi_limit') }} then 'within chance'
            else 'stable'
        end as state
    from told
),

final as (
    select
        stated.use_case,
        stated.subject,
        stated.feature_name,
        champions.model_version,
        champions.trained_as_of,
        stated.reference_rows,
        stated.last_year_rows,
        stated.current_rows,
        stated.reference_null_share,
        stated.last_year_null_share,
        stated.current_null_share,
        means.reference_mean,
        means.last_year_mean,
        means.current_mean,
        stated.psi,
        stated.psi_noise,
        stated.ks,
        stated.last_year_psi,
        stated.last_year_psi_noise,
        stated.last_year_ks,
        stated.is_unlike_last_year,
        stated.is_told_by_last_year,
        stated.state,
        stated.state = 'drift' as is_drifted,
        {{ as_of() }} as as_of
    from stated
    inner join champions on stated.use_case = champions.use_case
    left join means
        on
            stated.use_case = means.use_case
            and stated.subject = means.subject
            and stated.feature_name = means.feature_name
)

select * from final
