{% macro iso_weekday(day) -%}
    {#- 1 (Monday) to 7 (Sunday).
        Arguments: day (a SQL expression, DATE).
        Variants differ because engines count weekdays from different days. -#}
    {{ return(adapter.dispatch('iso_weekday')(day)) }}
{%- endmacro %}

{% macro duckdb__iso_weekday(day) -%}
    isodow({{ day }})
{%- endmacro %}

{% macro spark__iso_weekday(day) -%}
    weekday({{ day }}) + 1
{%- endmacro %}
