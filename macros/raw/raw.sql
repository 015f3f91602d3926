{% macro raw(source_name, table_name) -%}
    {#- A raw table. It is always the source's relation `raw_<source>.<table>`; who fills it differs:
        the seed of the same name by default, a view over `$INSIGHTERA_RAW/<source>/<table>.*` where set.
        Arguments: source_name, table_name, as the sources' YAML says.
        Use: `from {{ raw('siakad', 'nilai') }}`. -#}
    {%- if env_var('INSIGHTERA_RAW', '') == '' -%} {%- do ref(table_name) -%} {%- endif -%}
    {{ return(source(source_name, table_name)) }}
{%- endmacro %}
