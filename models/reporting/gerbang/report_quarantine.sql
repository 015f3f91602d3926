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

tables_read as (
    {{ read_by_use_cases(['raw']) }}
),

use_cases as (
    {%- for name in monitored_use_cases() %}
    select '{{ name }}' as use_case
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

refused as (
    select
        raw_tables.table_name,
        coalesce(quarantine.quarantine_reason, 'none') as quarantine_reason,
        count(quarantine.table_name) as row_count
    from raw_tables
    left join quarantine on raw_tables.table_name = quarantine.table_name
    group by raw_tables.table_name, quarantine.quarantine_reason
),

final as (
    select
        use_cases.use_case,
        refused.table_name,
        refused.quarantine_reason,
        refused.row_count,
        tables_read.table_name is not null as is_read
    from refused
    cross join use_cases
    left join tables_read
        on
            use_cases.use_case = tables_read.use_case
            and refused.table_name = tables_read.table_name
)

select * from final
