{{ config(
    materialized='table',
    post_hook={'sql': '{{ refuse_orphans() }}', 'transaction': false},
) }}

with
{%- for source_name, table_name in raw_tables() %}
{{ source_name }}_{{ table_name }} as (
    {{ raw_references(source_name, table_name) }}
),
{%- endfor %}

counts as (
    {{ raw_orphans() }}
),

final as (
    select
        counts.table_name,
        counts.column_name,
        counts.parent_table,
        counts.parent_column,
        counts.row_count,
        counts.parent_count,
        counts.orphan_count,
        counts.example_orphan,
        counts.example_parent
    from counts
)

select * from final
