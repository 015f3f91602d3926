{% macro raw_columns(source_name, table_name) -%}
    {#- The contract of a raw table: its source node, with `columns` and `meta`.
        Returns none while dbt parses.
        Use: `{% set table = raw_columns('siakad', 'nilai') %}`. -#}
    {%- if execute -%}
        {%- for node in graph.sources.values() if node.source_name == source_name and node.name == table_name -%}
            {{ return(node) }}
        {%- endfor -%}
        {{ exceptions.raise_compiler_error(
            'No source ' ~ source_name ~ '.' ~ table_name ~ ' in models/staging/*/_*__sources.yml'
        ) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}
