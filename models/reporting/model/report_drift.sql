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
        100 * drift.reference_null_share as reference_missing_percent,
        100 * drift.current_null_share as current_missing_percent,
        drift.reference_mean,
        drift.current_mean,
        case
            when not drift.is_drifted then null
            when
                abs(drift.current_null_share - drift.reference_null_share) >= {{ var('drift_missing_limit') }}
                and coalesce(drift.ks, 0) < {{ var('drift_missing_limit') }}
                then 'how many are missing'
            when abs(drift.current_null_share - drift.reference_null_share) >= {{ var('drift_missing_limit') }}
                then 'how many are missing, and the values'
            else 'the values'
        end as cause,
        case
            when drift.psi is null then 'nothing to compare'
            when drift.is_drifted then 'drifted'
            when drift.psi > {{ var('drift_psi_limit') }} then 'within chance'
            else 'stable'
        end as verdict
    from drift
    left join labels on drift.feature_name = labels.feature
)

select * from final
