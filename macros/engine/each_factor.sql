{% macro each_factor(factors) -%}
    {#- In a select list: one row per entry of `contributing_factors`, as a struct of feature, value (text) and
        contribution (log-odds).
        Arguments: factors (the JSON text).
        Use: `{{ '{{ each_factor("risks.contributing_factors") }}' }} as factor`, then `exploded.factor.feature` one
        query further out.
        Variants differ in the spelling of the JSON's type, and in the name of the function that makes rows. -#}
    {{ return(adapter.dispatch('each_factor')(factors)) }}
{%- endmacro %}

{% macro duckdb__each_factor(factors) -%}
    unnest(from_json(
        {{ factors }}, '[{"feature": "VARCHAR", "value": "VARCHAR", "contribution": "DOUBLE"}]'
    ))
{%- endmacro %}

{% macro spark__each_factor(factors) -%}
    explode(from_json({{ factors }}, 'array<struct<feature: string, value: string, contribution: double>>'))
{%- endmacro %}
