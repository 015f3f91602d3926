{{ config(
    materialized='table',
    post_hook={'sql': '{{ refuse_broken_extracts() }}', 'transaction': false},
) }}

with
rejects as (
    {%- for source_name, table_name in raw_tables() %}
    {{ raw_rejects(source_name, table_name) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        rejects.table_name,
        rejects.quarantine_reason,
        rejects.raw_row,
        rejects.recorded_at,
        rejects.loaded_at
    from rejects
)

select * from final
