{% macro feature_faults_sql(relation, entity_keys) -%}
    {#- The versions of a feature table that break what every one keeps, each as keys, valid_from, problem. What is
        believed now has neither overlap nor gap and ends open; neighbours differ; no version was known before it was
        valid, or from rows that came after; what was believed earlier never overlaps anything else in valid time and
        system time together.
        Each rule reads only the columns it needs: together they are the largest scan of a daily build.
        Arguments: relation, entity_keys (columns). -#}
    {%- set keys = entity_keys | join(', ') -%}
    with
    believed as (
        select
            {{ keys }},
            valid_from,
            valid_to,
            is_current,
            feature_hash,
            lead(valid_from) over (partition by {{ keys }} order by valid_from) as next_valid_from,
            lead(feature_hash) over (partition by {{ keys }} order by valid_from) as next_hash
        from {{ relation }}
        where system_to = {{ end_of_time() }}
    ),

    corrected as (
        select
            {{ keys }},
            valid_from,
            valid_to,
            system_from,
            system_to
        from {{ relation }}
        where system_to < {{ end_of_time() }}
    ),

    final as (
        select
            {{ keys }},
            valid_from,
            'not whole, empty, or known before it was valid' as problem
        from {{ relation }}
        where
            {{ (entity_keys + (feature_audit_columns() | list)) | join(' is null or ') }} is null
            or valid_from >= valid_to
            or system_from < valid_from - interval '1 microsecond'
            or system_from >= system_to
            or feature_timestamp >= valid_from
        union all
        select
            {{ keys }},
            valid_from,
            'gap, overlap or equal neighbours' as problem
        from believed
        where
            valid_to <> coalesce(next_valid_from, {{ end_of_time() }})
            or feature_hash = next_hash
            or is_current <> (next_valid_from is null)
        union all
        select
            {%- for key in entity_keys %}
            corrected.{{ key }},
            {%- endfor %}
            corrected.valid_from,
            'two beliefs at once' as problem
        from corrected
        inner join {{ relation }} as versions
            on
                {{ feature_same_entity({'entity_keys': entity_keys}, 'corrected', 'versions') }}
                and corrected.valid_from < versions.valid_to
                and versions.valid_from < corrected.valid_to
                and corrected.system_from < versions.system_to
                and versions.system_from < corrected.system_to
        where not (
            corrected.valid_from = versions.valid_from
            and corrected.system_from = versions.system_from
            and corrected.system_to = versions.system_to
        )
    )

    select * from final
{%- endmacro %}
