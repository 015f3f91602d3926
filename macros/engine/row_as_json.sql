{% macro row_as_json(row) -%}
    {#- A whole row as JSON text.
        Arguments: row (a struct: `raw_row` of `raw_checked`).
        Variants differ in the function's name. -#}
    {{ return(adapter.dispatch('row_as_json')(row)) }}
{%- endmacro %}

{% macro duckdb__row_as_json(row) -%}
    cast(to_json({{ row }}) as varchar)
{%- endmacro %}

{% macro spark__row_as_json(row) -%}
    to_json({{ row }}, map('ignoreNullFields', 'false'))
{%- endmacro %}
