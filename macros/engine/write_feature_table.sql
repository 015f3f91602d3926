{% macro write_feature_table(relation, existing, names, settings, columns, mode, state) -%}
    {#- Puts the computed versions and corrections into a feature table, with the note that `feature_table_state` reads,
        in one atomic step: a build killed anywhere leaves the table as it was, or as it should be.
        Arguments: relation, existing (what is there, or none), names (temporary tables), settings, columns (features),
        mode (full: they are the table; incremental: they replace what is believed of the days in scope), state
        ({as_of, code}).
        Variants differ because DuckDB has transactions and Iceberg has single commits. -#}
    {{ return(adapter.dispatch('write_feature_table')(relation, existing, names, settings, columns, mode, state)) }}
{%- endmacro %}

{% macro duckdb__write_feature_table(relation, existing, names, settings, columns, mode, state) -%}
    {%- if mode == 'full' -%}
        {%- if existing is not none -%} {%- do adapter.drop_relation(existing) -%} {%- endif -%}
        {%- call statement('main') -%}
            create table {{ relation }} as
            select * from {{ names.versions }}
            union all
            select * from {{ names.corrected }}
        {%- endcall -%}
    {%- else -%}
        {%- call statement('replaced') -%}
            delete from {{ relation }}
            using {{ names.scope }} as scope
            where
                {{ feature_same_entity(settings, relation, 'scope') }}
                and {{ relation }}.system_to = {{ end_of_time() }}
                and {{ relation }}.valid_to >= {{ day_start('scope.since_day') }}
        {%- endcall -%}
        {%- call statement('main') -%}
            insert into {{ relation }} by name
            select * from {{ names.versions }}
            union all
            select * from {{ names.corrected }}
        {%- endcall -%}
    {%- endif -%}
    {%- do set_feature_table_state(relation, state.as_of, state.code) -%}
{%- endmacro %}

{% macro spark__write_feature_table(relation, existing, names, settings, columns, mode, state) -%}
    {%- if mode == 'full' -%}
        {%- call statement('main') -%}
            create or replace table {{ relation }}
            using iceberg
            tblproperties ('insightera.state' = '{{ tojson(state) }}')
            as
            select * from {{ names.versions }}
            union all
            select * from {{ names.corrected }}
        {%- endcall -%}
    {%- else -%}
        {%- set held = settings.entity_keys + (columns | map(attribute='name') | list) + (feature_audit_columns() | list) -%}
        {%- do set_feature_table_state(relation, state.as_of, state.code) -%}
        {%- call statement('main') -%}
            merge into {{ relation }} as target
            using (
                select
                    {%- for name in held %}
                    believed.{{ name }},
                    {%- endfor %}
                    true as is_replaced
                from {{ relation }} as believed
                inner join {{ names.scope }} as scope on {{ feature_same_entity(settings, 'believed', 'scope') }}
                where
                    believed.system_to = {{ end_of_time() }}
                    and believed.valid_to >= {{ day_start('scope.since_day') }}
                union all
                select {{ held | join(', ') }}, false as is_replaced from {{ names.versions }}
                union all
                select {{ held | join(', ') }}, false as is_replaced from {{ names.corrected }}
            ) as source
            on
                {{ feature_same_entity(settings, 'target', 'source') }}
                and target.valid_from = source.valid_from
                and target.system_to = source.system_to
                and target.system_to = {{ end_of_time() }}
                and source.is_replaced
            when matched then delete
            when not matched then insert ({{ held | join(', ') }})
                values (source.{{ held | join(', source.') }})
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}
