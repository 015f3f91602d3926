with
quarantine as (
    select * from {{ ref('quarantine') }}
),

final as (
    select
        quarantine.table_name,
        quarantine.quarantine_reason,
        count(*) as row_count
    from quarantine
    group by quarantine.table_name, quarantine.quarantine_reason
)

select * from final
