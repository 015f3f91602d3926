with
freshness as (
    select * from {{ ref('monitor_freshness') }}
),

tables_read as (
    {{ read_by_use_cases(['gold', 'features']) }}
),

-- a champion and its predictions are called as their use case
watched as (
    select
        tables_read.use_case,
        tables_read.table_name
    from tables_read
    union all
    select
        freshness.table_name as use_case,
        freshness.table_name
    from freshness
    where freshness.room = 'model'
),

final as (
    select
        watched.use_case,
        freshness.room,
        freshness.table_name,
        freshness.row_count,
        freshness.newest_at,
        cast(freshness.age_days as integer) as age_days,
        cast(freshness.clock_age_days as integer) as clock_age_days,
        freshness.limit_days,
        cast(freshness.silent_days as integer) as silent_days,
        cast(freshness.clock_silent_days as integer) as clock_silent_days,
        freshness.usual_gap_days,
        case
            when freshness.newest_at is null then 'empty'
            when freshness.is_stale then 'stale'
            when freshness.is_late_as_last_year then 'late, as every year at this time'
            when freshness.is_late then 'late'
            when freshness.limit_days is null and freshness.usual_gap_days is null then 'too little history'
            else 'fresh'
        end as verdict,
        case
            when freshness.newest_at is null then 'empty'
            when freshness.is_as_of_given then 'history'
            when freshness.is_stale_by_the_clock then 'stale'
            when freshness.is_late_by_the_clock then 'late'
            when freshness.limit_days is null and freshness.usual_gap_days is null then 'too little history'
            else 'fresh'
        end as clock_verdict
    from freshness
    inner join watched on freshness.table_name = watched.table_name
)

select * from final
