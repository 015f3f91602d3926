{% macro raw_orphans(source_name, table_name) -%}
    {#- One row per column of a raw table with `meta.references`: how many rows name what its owner lacks. The rows that the
        build sees are asked, of the owner all rows: who is loaded later is there nevertheless. Rows that break a rule
        count on neither side; of one key there is one row.
        Arguments: source_name, table_name.
        Use: in the model `orphans`, once per table of the contract. -#}
    {%- do ref('quarantine') -%} {%- do raw(source_name, table_name) -%} {%- do ref('this_build') -%}
    {%- set table = raw_columns(source_name, table_name) -%}
    {%- if table is none -%} {{ return('select 1 as parsing') }} {%- endif -%}
    {%- set queries = [] -%}
    {%- for name, column in table.columns.items() if column.meta.get('references') -%}
        {%- set owner = column.meta.references.split('.') -%}
        {%- if owner | length != 3 -%}
            {%- do exceptions.raise_compiler_error(
                source_name ~ '.' ~ table_name ~ '.' ~ name ~ ': references is "' ~ column.meta.references
                ~ '"; write <source>.<table>.<column>'
            ) -%}
        {%- endif -%}
        {%- do queries.append(orphans_of(source_name, table_name, name, owner)) -%}
    {%- endfor -%}
    {{ queries | join('\nunion all\n') if queries else no_orphans() }}
{%- endmacro %}

{% macro orphans_of(source_name, table_name, name, owner) -%}
    {#- The row of `raw_orphans` about one column.
        Arguments: source_name, table_name, name (of the column), owner ([source, table, column]). -#}
    select
        cast({{ text_literal(source_name ~ '.' ~ table_name) }} as {{ dbt.type_string() }}) as table_name,
        cast({{ text_literal(name) }} as {{ dbt.type_string() }}) as column_name,
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
        select count(distinct owned.{{ adapter.quote(owner[2]) }}) as parent_count,
            min(owned.{{ adapter.quote(owner[2]) }}) as example_parent
        from ({{ raw_ruled(owner[0], owner[1]) }}) as owned
        where owned.broken_rule is null
    ) as parents
    left join (
        select every_row.{{ adapter.quote(name) }} as id, count(*) as row_count
        from ({{ raw_ruled(source_name, table_name) }}) as every_row
        where every_row.broken_rule is null
            and every_row.{{ adapter.quote(name) }} is not null
            and {{ is_visible('every_row') }}
        group by every_row.{{ adapter.quote(name) }}
    ) as named on true
    left join (
        select distinct owned.{{ adapter.quote(owner[2]) }} as id
        from ({{ raw_ruled(owner[0], owner[1]) }}) as owned
        where owned.broken_rule is null
    ) as owners on named.id = owners.id
{%- endmacro %}

{% macro no_orphans() -%}
    {#- What `raw_orphans` says of a table that names no other: no row. -#}
    select
        cast(null as {{ dbt.type_string() }}) as table_name,
        cast(null as {{ dbt.type_string() }}) as column_name,
        cast(null as {{ dbt.type_string() }}) as parent_table,
        cast(null as {{ dbt.type_string() }}) as parent_column,
        cast(null as bigint) as row_count,
        cast(null as bigint) as parent_count,
        cast(null as bigint) as orphan_count,
        cast(null as {{ dbt.type_string() }}) as example_orphan,
        cast(null as {{ dbt.type_string() }}) as example_parent
    where false
{%- endmacro %}
