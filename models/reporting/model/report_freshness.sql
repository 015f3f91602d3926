with
freshness as (
    select * from {{ ref('monitor_freshness') }}
),

final as (
    select
        freshness.room,
        freshness.table_name,
        freshness.row_count,
        freshness.newest_at,
        cast(freshness.age_days as integer) as age_days,
        freshness.limit_days,
        case
            when freshness.newest_at is null then 'empty'
            when freshness.is_stale then 'stale'
            else 'fresh'
        end as verdict
    from freshness
)

select * from final
