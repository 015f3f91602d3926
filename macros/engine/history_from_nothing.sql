{% macro history_from_nothing() -%}
    {#- The running snapshot made anew from what its relation holds now, in one atomic step: a build killed anywhere
        leaves the old one, or the new. Gives what a materialization returns. -#}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set strategy = strategy_dispatch(config.get('strategy'))(
        model, 'snapshotted_data', 'source_data', model['config'], false
    ) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%}
        {{ table_in_place(target_relation, build_snapshot_table(strategy, model['compiled_code'])) }}
    {%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmacro %}

{% materialization snapshot, default -%}
    {#- dbt's snapshot, which `--full-refresh` makes anew: dbt's own keeps what it has, so that no command could take
        back a row that was wrong. Every snapshot of the project is one; `full_refresh: false` in its config keeps it. -#}
    {{ return(history_from_nothing() if should_full_refresh() else dbt.materialization_snapshot_default()) }}
{%- endmaterialization %}

{% materialization snapshot, adapter='spark' -%}
    {#- The same, over Spark's own variant of dbt's. -#}
    {{ return(history_from_nothing() if should_full_refresh() else dbt.materialization_snapshot_spark()) }}
{%- endmaterialization %}

{% macro table_in_place(relation, query) -%}
    {#- SQL that makes a table of a query's rows, in place of the one that stands there, in one step.
        Arguments: relation, query.
        Variants differ because Spark's says which format the table has. -#}
    {{ return(adapter.dispatch('table_in_place')(relation, query)) }}
{%- endmacro %}

{% macro duckdb__table_in_place(relation, query) -%}
    create or replace table {{ relation }} as
    {{ query }}
{%- endmacro %}

{% macro spark__table_in_place(relation, query) -%}
    create or replace table {{ relation }} using iceberg as
    {{ query }}
{%- endmacro %}
