{% macro decimal_text(value) -%}
    {#- A floating point number as text with nine decimals, the same on every engine.
        Arguments: value (a SQL expression, double).
        Variants differ because Spark writes small decimals with an exponent. -#}
    {{ return(adapter.dispatch('decimal_text')(value)) }}
{%- endmacro %}

{% macro duckdb__decimal_text(value) -%}
    cast(cast({{ value }} as decimal(38, 9)) as varchar)
{%- endmacro %}

{% macro spark__decimal_text(value) -%}
    format_number(cast({{ value }} as decimal(38, 9)), '0.000000000')
{%- endmacro %}
