{% macro day_start(day) -%}
    {#- Midnight UTC of a day number, the inverse of `day_number`.
        Arguments: day (an integer SQL expression).
        Variants differ in how whole days are added to a date. -#}
    {{ return(adapter.dispatch('day_start')(day)) }}
{%- endmacro %}

{% macro duckdb__day_start(day) -%}
    cast(date '1970-01-01' + cast({{ day }} as integer) as timestamp)
{%- endmacro %}

{% macro spark__day_start(day) -%}
    cast(date_from_unix_date(cast({{ day }} as integer)) as timestamp)
{%- endmacro %}
