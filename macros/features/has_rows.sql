{% macro has_rows(relation) -%}
    {#- Whether a relation has rows at all, as a literal of SQL: a table that a university lacks is one without rows,
        and what would be counted of it is not known, not none. Being part of a model's SQL, the answer is part of what
        `feature_table` compares with the last build: when a table gets its first rows, everything is computed anew.
        Arguments: relation. While dbt parses, in its unit tests, and where nothing is built yet, `true`.
        Use: `case when {{ has_rows(ref('fact_pengumpulan_tugas')) }} then count(*) end`. -#}
    {%- if execute and not relation.is_cte and load_relation(relation) is not none -%}
        {{ return('true' if run_query('select 1 from ' ~ relation ~ ' limit 1').rows | length else 'false') }}
    {%- endif -%}
    {{ return('true') }}
{%- endmacro %}
