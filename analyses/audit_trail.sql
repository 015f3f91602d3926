-- Every published number back to its origin: build, commit, model, training set.
-- Run: dbt show --select audit_trail
with
final as (
    select
        receipts.published_at,
        receipts.action,
        receipts.table_name,
        receipts.rows as row_count,
        receipts.snapshot_id,
        receipts.parent_id,
        receipts.run_id,
        receipts.git_commit,
        receipts.model_name,
        receipts.model_version,
        receipts.as_of,
        receipts.user_name
    from {{ ref('published_receipts') }} as receipts
    order by receipts.published_at
)

select * from final
