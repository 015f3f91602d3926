{% macro row_struct(table_alias) -%}
    {#- The whole row of `table_alias` as one value.
        Arguments: table_alias (of the FROM clause).
        Variants differ in how an engine makes a struct of a row. -#}
    {{ return(adapter.dispatch('row_struct')(table_alias)) }}
{%- endmacro %}

{% macro duckdb__row_struct(table_alias) -%}
    {{ table_alias }}
{%- endmacro %}

{% macro spark__row_struct(table_alias) -%}
    struct({{ table_alias }}.*)
{%- endmacro %}
