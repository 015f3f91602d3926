{% macro icespark__file_format_clause() %}
    using iceberg
{% endmacro %}

{% macro icespark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {#- Iceberg swaps the new table for the old in one commit. -#}
    {%- if language == 'python' %}
{{ compiled_code }}
from ml.core import frames as insightera_frames
insightera_frames.write(model(dbtObj(spark.table), spark), "{{ relation }}", spark)
    {%- elif temporary -%}
        {{ create_temporary_view(relation, compiled_code) }}
    {%- else -%}
        create or replace table {{ relation }}
        {%- if config.get('contract').enforced %}
            {{ get_assert_columns_equivalent(compiled_code) }}
            {%- set compiled_code = get_select_subquery(compiled_code) %}
        {%- endif %}
        using iceberg
        {{ tblproperties_clause() }}
        {{ partition_cols(label='partitioned by') }}
        {{ comment_clause() }}
        as
        {{ compiled_code }}
    {%- endif -%}
{%- endmacro %}

{% macro icespark__cast(field, type) -%}
    {#- Contracts say `varchar`, which Spark knows only with a length. -#}
    cast({{ field }} as {{ 'string' if type | lower == 'varchar' else type }})
{%- endmacro %}

{% materialization table, adapter='icespark', supported_languages=['sql', 'python'] -%}
    {#- Without dropping first: readers see the old table until the new one is whole. -#}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is not none and not existing.is_table -%} {%- do adapter.drop_relation(existing) -%} {%- endif -%}
    {%- call statement('main', language=model['language']) -%}
        {{ create_table_as(False, target_relation, compiled_code, model['language']) }}
    {%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}

{% materialization seed, adapter='icespark' -%}
    {#- dbt's own way binds every value of every row. -#}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- do adapter.load_csv(target_relation, model.root_path ~ '/' ~ model.original_file_path) -%}
    {%- call noop_statement('main', 'OK') -%} {%- endcall -%}
    {%- do store_result('agate_table', response='OK', agate_table=none) -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}

{% macro icespark__create_columns(relation, columns) -%}
    {#- dbt's snapshot would add its helper columns to the table where the key is a list. -#}
    {%- set wanted = [] -%}
    {%- for column in columns if not column.name.startswith('dbt_unique_key') -%} {%- do wanted.append(column) -%} {%- endfor -%}
    {{ spark__create_columns(relation, wanted) }}
{%- endmacro %}
