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

{% macro spark__feature_table_state(relation) -%}
    {#- The note is written before the commit that it describes, and says which snapshot that commit goes onto: as long
        as the table shows this snapshot, the commit never came, and the state is the one before. -#}
    {%- set noted = [] -%}
    {%- for row in run_query('show tblproperties ' ~ relation).rows if row[0] == 'insightera.state' -%}
        {%- do noted.append(fromjson(row[1])) -%}
    {%- endfor -%}
    {%- if not noted -%} {{ return(none) }} {%- endif -%}
    {%- set state = noted[0] -%}
    {%- if 'onto' in state and state.onto == spark_snapshot(relation) -%} {{ return(state.before) }} {%- endif -%}
    {{ return({'as_of': state.as_of, 'code': state.code}) }}
{%- endmacro %}

{% macro spark__set_feature_table_state(relation, as_of, code) -%}
    {%- set note = {
        'as_of': as_of, 'code': code, 'onto': spark_snapshot(relation), 'before': feature_table_state(relation)
    } -%}
    {%- call statement('state') -%}
        alter table {{ relation }} set tblproperties ('insightera.state' = '{{ tojson(note) }}')
    {%- endcall -%}
{%- endmacro %}

{% macro spark_snapshot(relation) -%}
    {#- The snapshot that an Iceberg table shows, as text; none where it has none.
        Arguments: relation. -#}
    {%- set rows = run_query(
        "select cast(snapshot_id as string) from " ~ relation ~ ".refs where name = 'main'"
    ).rows -%}
    {{ return(rows[0][0] if rows | length else none) }}
{%- endmacro %}
