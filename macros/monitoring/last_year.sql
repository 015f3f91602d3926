{% macro last_year() -%}
    {#- The same weekday and time of the same week a year before `as_of`, as a scalar: 52 weeks, so that a Monday is held
        against a Monday. -#}
    ({{ as_of() }} - interval '364 days')
{%- endmacro %}
