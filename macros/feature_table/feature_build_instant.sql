{% macro feature_build_instant() -%}
    {#- The build's `as_of` as sortable text, for the materialization's decisions. -#}
    {%- set row = run_query(
        'select cast(this_build.as_of as string) from ' ~ ref('this_build') ~ ' as this_build'
    ).rows[0] -%}
    {{ return(row[0] | string) }}
{%- endmacro %}
