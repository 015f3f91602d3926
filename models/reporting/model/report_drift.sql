{%- set missing_change = 'abs(drift.current_null_share - drift.reference_null_share)' -%}
with
drift as (
    select * from {{ ref('monitor_drift') }}
),

labels as (
    {{ feature_labels() }}
),

final as (
    select
        drift.use_case,
        drift.subject,
        drift.feature_name,
        case
            when drift.subject = 'prediction' then 'The predictions themselves'
            else coalesce(labels.label, drift.feature_name)
        end as feature_label,
        drift.model_version,
        drift.psi,
        drift.psi_noise,
        drift.ks,
        drift.last_year_psi,
        100 * drift.reference_null_share as reference_missing_percent,
        100 * drift.last_year_null_share as last_year_missing_percent,
        100 * drift.current_null_share as current_missing_percent,
        drift.reference_mean,
        drift.last_year_mean,
        drift.current_mean,
        case
            when drift.state not in ('drift', 'season') then null
            when drift.current_null_share = 1 and drift.reference_null_share < 1 then 'no value comes any more'
            when
                {{ missing_change }} >= {{ var('drift_missing_limit') }}
                and coalesce(drift.ks, 0) < {{ var('drift_missing_limit') }}
                then 'how many are missing'
            when {{ missing_change }} >= {{ var('drift_missing_limit') }} then 'how many are missing, and the values'
            else 'the values'
        end as cause,
        case
            when drift.subject = 'prediction' then 'not compared'
            when drift.last_year_rows = 0 then 'no year of history'
            when drift.is_unlike_last_year then 'unlike it'
            when not drift.is_told_by_last_year then 'too few to tell'
            else 'like it'
        end as against_last_year,
        case drift.state
            when 'drift' then 'drifted'
            when 'season' then 'as every year at this time'
            else drift.state
        end as verdict
    from drift
    left join labels on drift.feature_name = labels.feature
)

select * from final
