with
versions as (
    select * from {{ ref('trained_versions') }}
),

final as (
    select
        versions.use_case,
        versions.model_version,
        'version ' || versions.model_version || ' (' || versions.role || ')' as version_label,
        versions.role,
        versions.decision,
        versions.caution,
        versions.metric,
        versions.score,
        versions.baseline_score,
        versions.features,
        versions.trained_as_of,
        left(versions.git_commit, 8) as git_commit
    from versions
)

select * from final
