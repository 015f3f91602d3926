{% macro temporary_table(name, query) -%}
    {#- Keeps the rows of a query under a name, in place of what it kept, until `drop_temporary_table`, for this build
        only.
        Arguments: name, query (SQL).
        Variants differ because Spark has no temporary tables, only views, which it would compute anew for each reader: its
        rows stand in the lake, in the session's own namespace, and survive an executor. -#}
    {{ return(adapter.dispatch('temporary_table')(name, query)) }}
{%- endmacro %}

{% macro duckdb__temporary_table(name, query) -%}
    {%- call statement(name) -%}
        create or replace temporary table {{ name }} as
        {{ query }}
    {%- endcall -%}
{%- endmacro %}

{% macro spark__temporary_table(name, query) -%}
    {%- call statement(name) -%}
        create or replace table {{ name }} using iceberg as
        {{ query }}
    {%- endcall -%}
{%- endmacro %}

{% macro drop_temporary_table(name) -%}
    {#- Forgets what `temporary_table` keeps under a name, if anything.
        Arguments: name. -#}
    {{ return(adapter.dispatch('drop_temporary_table')(name)) }}
{%- endmacro %}

{% macro duckdb__drop_temporary_table(name) -%}
    {%- do run_query('drop table if exists ' ~ name) -%}
{%- endmacro %}

{% macro spark__drop_temporary_table(name) -%}
    {%- do run_query('drop table if exists ' ~ name ~ ' purge') -%}
{%- endmacro %}
