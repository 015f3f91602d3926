{% materialization feature_table, default, supported_languages=['sql'] -%}
    {#- A table of feature versions in valid time and system time, built by day.

        The model's SQL gives, for the entities and days of `feature_scope()`, the entity's key, `valid_from`
        (midnight, UTC), the features, `feature_timestamp` and `loaded_at` (newest that contributed). Here that
        becomes versions: equal neighbours are one version; `valid_to` follows; what an earlier build believed
        and a late row corrected is kept with its `system_to` closed.

        Config, under `meta.feature_table`:
            entity_keys: [nim]
            inputs: the facts that move the features, each
                fact: model name
                recorded_at, loaded_at: its columns (default: the same names)
                moves_at: column of the instant at which the row acts, where that is not `recorded_at`
                window_days: how long after it a row can still move a value (default 0)
                late_rows: `ignored` where the SQL counts only rows that `came_on_its_day`. A value over many entities
                    must: the days built are computed again for the entity of a late row, not for its peers

        A build at the same `as_of` does nothing. A build at a later one computes the entities that have new rows
        or an open window, from the first day that can have moved. A build at an earlier one, a changed model, or
        `--full-refresh` computes everything. Written in one atomic step (`write_feature_table`).

        The audit columns (`feature_audit_columns`) and the test of the invariants (`assert_feature_versions`) come with
        the materialization: the YAML names the entity's keys and the features, and no data test of versions. -#}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set settings = model_meta('feature_table') -%}
    {%- do assert_feature_settings(settings) -%}
    {%- set now = feature_build_instant() -%}
    {%- set before = feature_table_state(existing) if existing is not none and not should_full_refresh() else none -%}
    {%- set names = {
        'scope': this.identifier ~ '__scope',
        'points': this.identifier ~ '__points',
        'versions': this.identifier ~ '__versions',
        'corrected': this.identifier ~ '__corrected',
    } -%}
    {#- compiled, so that a changed macro counts as a changed model: with a column of each kind that they tell apart -#}
    {%- set kinds = [{'name': 'a', 'type': 'DOUBLE'}, {'name': 'b', 'type': 'INTEGER'}, {'name': 'c', 'type': 'VARCHAR'}] -%}
    {%- set code = local_md5(
        compiled_code ~ feature_versions_sql(settings, kinds, names, none) ~ tojson(settings)
        ~ tojson(model.columns | list)
    ) -%}
    {%- set is_same_code = before is not none and before.code == code -%}
    {%- set mode = 'full' -%}
    {%- if is_same_code and before.as_of == now -%}
        {%- set mode = 'none' -%}
    {%- elif is_same_code and before.as_of < now -%}
        {%- set mode = 'incremental' -%}
    {%- endif -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if mode == 'none' -%}
        {%- call noop_statement('main', 'UP TO DATE') -%} {%- endcall -%}
    {%- else -%}
        {%- do temporary_table(
            names.scope, feature_scope_sql(settings, before.as_of if mode == 'incremental' else none, now)
        ) -%}
        {%- do temporary_table(names.points, feature_points_sql(settings, names.scope, compiled_code)) -%}
        {%- set columns = feature_columns(settings, names.points) -%}
        {%- do assert_feature_contract(columns, settings) -%}
        {%- do temporary_table(
            names.versions,
            feature_versions_sql(settings, columns, names, this if mode == 'incremental' else none)
        ) -%}
        {%- do temporary_table(names.corrected, feature_corrections_sql(
            settings, columns, names, existing if is_same_code else none, before, now, mode
        )) -%}
        {%- do write_feature_table(
            target_relation, existing, names, settings, columns, mode, {'as_of': now, 'code': code}
        ) -%}
        {%- for name in names.values() -%} {%- do drop_temporary_table(name) -%} {%- endfor -%}
    {%- endif -%}
    {#- before the commit, and where nothing was computed: a broken table is refused by every build, not by one -#}
    {%- do assert_feature_versions(target_relation, settings) -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
