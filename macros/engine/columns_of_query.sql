{% macro columns_of_query(query) -%}
    {#- The columns of a query as [{name, type}], types in the words of the contracts (VARCHAR, INTEGER, DOUBLE, ...).
        Arguments: query (SQL).
        Variants differ in how an engine describes a query. -#}
    {{ return(adapter.dispatch('columns_of_query')(query)) }}
{%- endmacro %}

{% macro duckdb__columns_of_query(query) -%}
    {%- set columns = [] -%}
    {%- for row in run_query('describe ' ~ query) -%}
        {%- do columns.append({'name': row[0], 'type': row[1]}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro spark__columns_of_query(query) -%}
    {%- set columns = [] -%}
    {%- for row in run_query('describe query ' ~ query).rows if row[0] and not row[0].startswith('#') -%}
        {%- do columns.append({'name': row[0], 'type': contract_type(row[1])}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}
