{% macro slope(y, x, window='') -%}
    {#- Slope of the least squares line of y over x: NULL with fewer than two points.
        Arguments: y, x (SQL expressions), window (an OVER clause, or nothing in a GROUP BY).
        Variants differ in what one point gives: NULL, or NaN. -#}
    {{ return(adapter.dispatch('slope')(y, x, window)) }}
{%- endmacro %}

{% macro duckdb__slope(y, x, window='') -%}
    nullif(regr_slope({{ y }}, {{ x }}) {{ window }}, cast('nan' as double))
{%- endmacro %}

{% macro spark__slope(y, x, window='') -%}
    nullif(regr_slope({{ y }}, {{ x }}) {{ window }}, cast('nan' as double))
{%- endmacro %}
