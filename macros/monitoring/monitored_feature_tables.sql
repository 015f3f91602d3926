{% macro monitored_feature_tables() -%}
    {#- The feature tables that any use case reads, each once, as a list. -#}
    {%- set tables = [] -%}
    {%- for features in monitored_use_cases().values() -%}
        {%- do tables.extend(features.values()) -%}
    {%- endfor -%}
    {{ return(tables | unique | list) }}
{%- endmacro %}
