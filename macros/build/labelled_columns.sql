{% macro labelled_columns(prefix) -%}
    {#- What the YAML of models calls their columns, as {model: {column: {label, unit}}}: of the columns that have a
        `meta.unit`. The name in plain words stands in where a column has no `meta.label`. Empty while dbt parses.
        Arguments: prefix (of the models' names, e.g. `features_`). -#}
    {%- set models = {} -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name.startswith(prefix) -%}
            {%- for column in node.columns.values() if column.config.meta.get('unit') -%}
                {%- set label = column.config.meta.get('label', column.name | replace('_', ' ')) -%}
                {%- do models.setdefault(node.name, {}).update(
                    {column.name: {'label': label, 'unit': column.config.meta.unit}}
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(models) }}
{%- endmacro %}
