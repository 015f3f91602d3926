{% macro feature_labels() -%}
    {#- A query of every feature's name in plain words and unit, as the feature tables' YAML says (`meta.label`,
        `meta.unit`): feature, label, unit.
        Use: as a CTE in a report. The name itself stands in where a feature has no label. -#}
    {%- set features = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.name.startswith('features_') and node.resource_type == 'model' -%}
            {%- for column in node.columns.values() if column.config.meta.get('unit') -%}
                {%- do features.append(column) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for column in features %}
    select
        '{{ column.name }}' as feature,
        {{ text_literal(column.config.meta.get("label", column.name | replace("_", " "))) }} as label,
        {{ text_literal(column.config.meta["unit"]) }} as unit
    union all
    {%- endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as feature,
        cast(null as {{ dbt.type_string() }}) as label,
        cast(null as {{ dbt.type_string() }}) as unit
    where false
{%- endmacro %}
