{% macro feature_labels() -%}
    {#- A query of every feature's name in plain words and unit, as the feature tables' YAML says (`meta.label`,
        `meta.unit`): feature, label, unit.
        Use: as a CTE in a report. The name itself stands in where a feature has no label. -#}
    {%- for columns in labelled_columns('features_').values() -%}
    {%- for feature, said in columns.items() %}
    select
        '{{ feature }}' as feature,
        {{ text_literal(said.label) }} as label,
        {{ text_literal(said.unit) }} as unit
    union all
    {%- endfor -%}
    {%- endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as feature,
        cast(null as {{ dbt.type_string() }}) as label,
        cast(null as {{ dbt.type_string() }}) as unit
    where false
{%- endmacro %}
