{% macro last_known(value, window) -%}
    {#- The last non-NULL `value` within a window.
        Arguments: value (a SQL expression), window (a named window).
        Variants differ in where IGNORE NULLS stands. -#}
    {{ return(adapter.dispatch('last_known')(value, window)) }}
{%- endmacro %}

{% macro duckdb__last_known(value, window) -%}
    last_value({{ value }} ignore nulls) over {{ window }}
{%- endmacro %}

{% macro spark__last_known(value, window) -%}
    last_value({{ value }}) ignore nulls over {{ window }}
{%- endmacro %}
