{% macro feature_table_state(relation) -%}
    {#- What the last build of a feature table was: {as_of, code}, none where it left no word.
        Arguments: relation (the existing table).
        Variants differ in where an engine keeps a note on a table; the note is written in the data's transaction. -#}
    {{ return(adapter.dispatch('feature_table_state')(relation)) }}
{%- endmacro %}

{% macro duckdb__feature_table_state(relation) -%}
    {%- set rows = run_query(
        "select comment from duckdb_tables() where schema_name = '" ~ relation.schema ~ "' and table_name = '"
        ~ relation.identifier ~ "' and comment is not null"
    ).rows -%}
    {{ return(fromjson(rows[0][0]) if rows | length else none) }}
{%- endmacro %}

{% macro set_feature_table_state(relation, as_of, code) -%}
    {#- Leaves the note that `feature_table_state` reads.
        Arguments: relation, as_of (text), code (digest of the model). -#}
    {{ return(adapter.dispatch('set_feature_table_state')(relation, as_of, code)) }}
{%- endmacro %}

{% macro duckdb__set_feature_table_state(relation, as_of, code) -%}
    {%- call statement('state') -%}
        comment on table {{ relation }} is '{{ tojson({'as_of': as_of, 'code': code}) }}'
    {%- endcall -%}
{%- endmacro %}
