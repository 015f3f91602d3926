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
        cast(freshness.clock_age_days as integer) as clock_age_days,
        freshness.limit_days,
        case
            when freshness.newest_at is null then 'empty'
            when freshness.limit_days is null then 'no limit'
            when freshness.is_stale then 'stale'
            when freshness.is_stale_by_the_clock then 'stale by the clock'
            else 'fresh'
        end as verdict
    from freshness
)

select * from final
