{% macro build_started_at() -%}
    {#- The wall clock at the build's start, UTC: used only to refuse rows from the future. -#}
    timestamp '{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S") }}'
{%- endmacro %}
