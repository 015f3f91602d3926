{% macro day_number(instant) -%}
    {#- The UTC day of a timestamp or date, as days since 1970-01-01: windows over whole numbers are the same SQL
        on every engine, windows over intervals are not.
        Arguments: instant (a SQL expression).
        Variants differ in the argument order of a date difference. -#}
    {{ return(adapter.dispatch('day_number')(instant)) }}
{%- endmacro %}

{% macro duckdb__day_number(instant) -%}
    cast(date_diff('day', date '1970-01-01', cast({{ instant }} as date)) as integer)
{%- endmacro %}

{% macro spark__day_number(instant) -%}
    unix_date(cast({{ instant }} as date))
{%- endmacro %}
