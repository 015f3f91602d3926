{% macro use_cases_as_json() -%}
    {#- The `meta.use_case` of every label model, by the use case's name, as JSON.
        Use: in `this_build`, for the Python models: dbt shows a Python model no other model's YAML. -#}
    {%- set use_cases = {} -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.meta.get('use_case') -%}
            {%- do use_cases.update({node.name | replace('label_', '', 1): node.config.meta.use_case}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(tojson(use_cases)) }}
{%- endmacro %}
