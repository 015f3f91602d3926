{% macro row_as_json(table_alias) -%}
    {#- The whole row of `table_alias` as JSON text.
        Arguments: table_alias (of the FROM clause).
        Variants differ in how an engine makes a struct of a row. -#}
    {{ return(adapter.dispatch('row_as_json')(table_alias)) }}
{%- endmacro %}

{% macro duckdb__row_as_json(table_alias) -%}
    cast(to_json({{ table_alias }}) as varchar)
{%- endmacro %}
