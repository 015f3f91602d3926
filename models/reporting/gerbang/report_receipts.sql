with
receipts as (
    select * from {{ ref('published_receipts') }}
),

final as (
    select
        receipts.table_name,
        receipts.action,
        receipts.snapshot_id,
        receipts.parent_id,
        receipts.rows as row_count,
        receipts.population,
        receipts.computed,
        receipts.run_id,
        left(receipts.git_commit, 8) as git_commit,
        receipts.model_name as use_case,
        receipts.model_version,
        receipts.as_of,
        receipts.published_at
    from receipts
)

select * from final
