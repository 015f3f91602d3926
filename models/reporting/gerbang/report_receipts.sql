with
receipts as (
    select * from {{ ref('published_receipts') }}
),

final as (
    select
        receipts.table_name,
        receipts.snapshot_id,
        receipts.parent_id,
        receipts.run_id,
        receipts.git_commit,
        receipts.model_name,
        receipts.model_version,
        receipts.row_count,
        receipts.as_of,
        receipts.published_at
    from receipts
)

select * from final
