{% macro use_case_meta(name) -%}
    {#- The `meta.use_case` of a label model; empty while dbt parses.
        Arguments: name (of the use case). -#}
    {%- if not execute -%} {{ return({}) }} {%- endif -%}
    {%- for node in graph.nodes.values() if node.name == 'label_' ~ name and node.resource_type == 'model' -%}
        {{ return(node.config.meta.use_case) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error(
        'macros/monitoring/monitored_use_cases.sql names ' ~ name ~ ', but there is no model label_' ~ name ~ ': run `insightera use-cases sync`'
    ) }}
{%- endmacro %}
