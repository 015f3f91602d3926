{% macro raw_orphans() -%}
    {#- One row per reference of the contract: how many rows name what its owner lacks. The rows that the build sees are
        asked, of the owner all rows: who is loaded later is there nevertheless.
        Use: in the model `orphans`, after a CTE `<source>_<table>` of `raw_references` for each table. -#}
    {%- set references = contract_references() -%}
    {%- for reference in references %}
    {%- set owner = reference.owner.split('.') %}
    {%- set column, owned = adapter.quote(reference.column), adapter.quote(owner[2]) %}
    select
        cast({{ text_literal(reference.table | join('.')) }} as {{ dbt.type_string() }}) as table_name,
        cast({{ text_literal(reference.column) }} as {{ dbt.type_string() }}) as column_name,
        cast({{ text_literal(owner[0] ~ '.' ~ owner[1]) }} as {{ dbt.type_string() }}) as parent_table,
        cast({{ text_literal(owner[2]) }} as {{ dbt.type_string() }}) as parent_column,
        cast(coalesce(sum(named.row_count), 0) as bigint) as row_count,
        max(parents.parent_count) as parent_count,
        case
            when max(parents.parent_count) > 0
                then cast(coalesce(sum(case when owners.id is null then named.row_count end), 0) as bigint)
        end as orphan_count,
        min(case when owners.id is null then named.id end) as example_orphan,
        max(parents.example_parent) as example_parent
    from (
        select
            count(distinct owner_rows.{{ owned }}) as parent_count,
            min(owner_rows.{{ owned }}) as example_parent
        from {{ owner[0] }}_{{ owner[1] }} as owner_rows
    ) as parents
    left join (
        select
            table_rows.{{ column }} as id,
            sum(table_rows.row_count) as row_count
        from {{ reference.table | join('_') }} as table_rows
        where table_rows.is_seen and table_rows.{{ column }} is not null
        group by table_rows.{{ column }}
    ) as named on true
    left join (
        select distinct owner_rows.{{ owned }} as id
        from {{ owner[0] }}_{{ owner[1] }} as owner_rows
    ) as owners on named.id = owners.id
    {{ 'union all' if not loop.last }}
    {%- else %}
    select 1 as parsing
    {%- endfor %}
{%- endmacro %}
