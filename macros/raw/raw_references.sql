{% macro raw_references(source_name, table_name) -%}
    {#- What the rows of a raw table name of other tables, and other tables of it: the columns with `meta.references` and
        those that another's names, each combination once with its `row_count`, and whether the build sees those rows
        (`is_seen`). Rows that break a rule do not count.
        Arguments: source_name, table_name.
        Use: in the model `orphans`, once per table of the contract. -#}
    {%- do ref('quarantine') -%} {%- do raw(source_name, table_name) -%} {%- do ref('this_build') -%}
    {%- set table = raw_columns(source_name, table_name) -%}
    {%- if table is none -%} {{ return('select 1 as parsing') }} {%- endif -%}
    {%- set own = source_name ~ '.' ~ table_name ~ '.' -%}
    {%- set named = [] -%}
    {%- for name, column in table.columns.items() if column.meta.get('references') -%} {%- do named.append(name) -%} {%- endfor -%}
    {%- for reference in contract_references() if reference.owner.startswith(own) -%}
        {%- do named.append(reference.owner[own | length:]) -%}
    {%- endfor -%}
    {%- set columns = [] -%}
    {%- for name in named | unique -%} {%- do columns.append('kept.' ~ adapter.quote(name)) -%} {%- endfor -%}
    {%- do columns.append('kept.is_seen') -%}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from (
        select
            {%- for name in named | unique %}
            every_row.{{ adapter.quote(name) }},
            {%- endfor %}
            {{ is_visible('every_row') }} as is_seen
        from ({{ raw_ruled(source_name, table_name) }}) as every_row
        where every_row.broken_rule is null
    ) as kept
    group by {{ columns | join(', ') }}
{%- endmacro %}

{% macro contract_references() -%}
    {#- Every reference of the contract, as [{table, column, owner}]: table is [source, table], owner
        `<source>.<table>.<column>` as the sources' YAML says. Empty while dbt parses. -#}
    {%- set found = [] -%}
    {%- for source_name, table_name in raw_tables() -%}
        {%- set table = raw_columns(source_name, table_name) -%}
        {%- if table is not none -%}
            {%- for name, column in table.columns.items() if column.meta.get('references') -%}
                {%- if column.meta.references.split('.') | length != 3 -%}
                    {%- do exceptions.raise_compiler_error(
                        source_name ~ '.' ~ table_name ~ '.' ~ name ~ ': references is "' ~ column.meta.references
                        ~ '"; write <source>.<table>.<column>'
                    ) -%}
                {%- endif -%}
                {%- do found.append(
                    {'table': [source_name, table_name], 'column': name, 'owner': column.meta.references}
                ) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
