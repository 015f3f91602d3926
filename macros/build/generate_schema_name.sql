{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- A room's schema is its name: `gold`, never `main_gold`.
        Arguments: custom_schema_name (of the config), node.
        Use: dbt calls it. -#}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
