{% macro end_of_time() -%}
    {#- `valid_to` and `system_to` of what still holds.
        Use: `coalesce(valid_to, {{ end_of_time() }})`. -#}
    cast('9999-12-31' as timestamp)
{%- endmacro %}
