{% macro has_column(relation, name) -%}
    {#- Whether a relation that exists already has a column; false while dbt parses.
        Arguments: relation, name (lower case). -#}
    {%- if not execute -%} {{ return(false) }} {%- endif -%}
    {{ return(name in (adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list)) }}
{%- endmacro %}
