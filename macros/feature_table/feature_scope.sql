{% macro feature_scope() -%}
    {#- What a build of this feature table has to compute: one row per entity that can have moved, with its key,
        `since_day` (first day to compute) and `until_day` (the build's day), as day numbers. The materialization
        makes it before it runs the model; in a full build it holds every entity.
        Use: `from {{ feature_scope() }} as scope`, in a model of `materialized='feature_table'`. -#}
    {%- do ref('this_build') -%}
    {{ this.identifier }}__scope
{%- endmacro %}
