with
quarantine as (
    select * from {{ ref('quarantine') }}
),

raw_tables as (
    {%- for source_name, table_name in raw_tables() %}
    select '{{ source_name }}.{{ table_name }}' as table_name
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        raw_tables.table_name,
        coalesce(quarantine.quarantine_reason, 'none') as quarantine_reason,
        count(quarantine.table_name) as row_count
    from raw_tables
    left join quarantine on raw_tables.table_name = quarantine.table_name
    group by raw_tables.table_name, quarantine.quarantine_reason
)

select * from final
