{% macro feature_corrections_sql(settings, columns, names, existing, before, now, mode) -%}
    {#- What was believed and is no longer: rows whose `system_to` is closed.

        Incremental: wherever a stored version and a new one overlap and differ, the stored one was believed from its
        `system_from` to the new one's; the piece of it under the new version is kept so. Only days that the earlier
        build had computed count: beyond them a version was merely open, not believed.
        Full over an existing table of the same code (an earlier `as_of`): beliefs that had ended by then are kept. -#}
    {%- if existing is none -%}
        select *
        from {{ names.versions }}
        where false
    {%- elif mode == 'full' -%}
        {%- set held = settings.entity_keys + (columns | map(attribute='name') | list) + (feature_audit_columns() | list) %}
        select {{ held | join(', ') }}
        from {{ existing }}
        where system_to < cast('{{ now }}' as timestamp)
    {%- else -%}
        {%- set computed_until = day_start(day_number("cast('" ~ before.as_of ~ "' as timestamp)") ~ ' + 1') -%}
        {%- set believed_from = known_from(
            'greatest(believed.valid_from, versions.valid_from)', 'believed.system_from'
        ) -%}
        select
            {%- for name in settings.entity_keys + (columns | map(attribute='name') | list) %}
            believed.{{ name }},
            {%- endfor %}
            greatest(believed.valid_from, versions.valid_from) as valid_from,
            least(believed.valid_to, versions.valid_to, {{ computed_until }}) as valid_to,
            false as is_current,
            believed.feature_timestamp,
            believed.feature_hash,
            {{ believed_from }} as system_from,
            versions.system_from as system_to
        from {{ existing }} as believed
        inner join {{ names.scope }} as scope on {{ feature_same_entity(settings, 'believed', 'scope') }}
        inner join {{ names.versions }} as versions on {{ feature_same_entity(settings, 'believed', 'versions') }}
        where
            believed.system_to = {{ end_of_time() }}
            and {{ day_start('scope.since_day') }} < {{ computed_until }}
            and believed.valid_to >= {{ day_start('scope.since_day') }}
            and believed.valid_from < versions.valid_to
            and versions.valid_from < believed.valid_to
            and greatest(believed.valid_from, versions.valid_from) < {{ computed_until }}
            and versions.system_from > {{ believed_from }}
            and (
                versions.feature_hash <> believed.feature_hash
                or versions.system_from <> believed.system_from
            )
    {%- endif -%}
{%- endmacro %}
