{% macro model_meta(name) -%}
    {#- A mapping of the running model's `meta`; empty while dbt parses, when YAML is not attached yet.
        Arguments: name.
        Use: `{% set settings = model_meta('feature_table') %}`. -#}
    {{ return((config.get('meta') or {}).get(name, {})) }}
{%- endmacro %}
