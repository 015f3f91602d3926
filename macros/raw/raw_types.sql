{% macro raw_types(relation) -%}
    {#- The types of a raw relation's columns, by lower-case name, as {name: TYPE}; empty while dbt parses.
        Arguments: relation.
        Use: `{% set types = raw_types(raw('siakad', 'nilai')) %}`. -#}
    {%- set types = {} -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do types.update({column.name | lower: column.dtype | upper}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(types) }}
{%- endmacro %}
