{% macro plausible_from(own=none) -%}
    {#- The first day that a date or timestamp of the raw data may name, as text: `var('plausible_from')`, or a column's
        own `meta.min`. One row of 1900 would otherwise give every student a calendar from then on.
        Arguments: own (a column's `meta.min`: a day, or none). -#}
    {%- set day = (own if own is not none else var('plausible_from')) | string -%}
    {%- if not modules.re.fullmatch('[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}', day) -%}
        {%- do exceptions.raise_compiler_error('plausible_from is "' ~ day ~ '", which is no day: write 1950-01-01.') -%}
    {%- endif -%}
    {{ return(day) }}
{%- endmacro %}
