{% macro rounded_text(value, digits) -%}
    {#- A number as text with so many decimals, halves away from zero. Rounded before the cast: on a double's way to a
        decimal, DuckDB rounds the number itself and Spark its shortest text, so that 1.005 comes out differently.
        Arguments: value (a SQL expression, double), digits (of the fraction, at least 1).
        Use: `{{ '{{ rounded_text("versions.roc_auc", 2) }}' }}`. -#}
    cast(cast(round({{ 10 ** digits }} * {{ value }}) / {{ 10 ** digits }} as decimal(18, {{ digits }})) as string)
{%- endmacro %}
