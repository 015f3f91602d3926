{% macro contract_type(type) -%}
    {#- A column's type in the words of the contracts: VARCHAR, INTEGER, BIGINT, DOUBLE, BOOLEAN, DATE, TIMESTAMP.
        Arguments: type (as the engine spells it).
        Variants differ in the engine's own words. -#}
    {{ return(adapter.dispatch('contract_type')(type)) }}
{%- endmacro %}

{% macro duckdb__contract_type(type) -%}
    {{ return(type | upper) }}
{%- endmacro %}

{% macro spark__contract_type(type) -%}
    {%- set words = {'STRING': 'VARCHAR', 'INT': 'INTEGER', 'TIMESTAMP_NTZ': 'TIMESTAMP'} -%}
    {{ return(words.get(type | upper, type | upper)) }}
{%- endmacro %}
