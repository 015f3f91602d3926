{% test feature_versions(model, entity_keys) -%}
    {#- A feature table is whole. What is believed now has neither overlap nor gap and ends open; neighbours differ;
        no version was known before it was valid, or from rows that came after; what was believed earlier never
        overlaps anything else in valid time and system time together. -#}
    with
    versions as (
        select
            {{ entity_keys | join(', ') }},
            valid_from,
            valid_to,
            is_current,
            feature_timestamp,
            feature_hash,
            system_from,
            system_to,
            system_to = {{ end_of_time() }} as is_believed,
            lead(valid_from) over (
                partition by {{ entity_keys | join(', ') }}, system_to = {{ end_of_time() }}
                order by valid_from
            ) as next_valid_from,
            lead(feature_hash) over (
                partition by {{ entity_keys | join(', ') }}, system_to = {{ end_of_time() }}
                order by valid_from
            ) as next_hash
        from {{ model }}
    ),

    corrected as (
        select *
        from versions
        where not versions.is_believed
    ),

    final as (
        select 'empty, or known before it was valid' as problem, versions.*
        from versions
        where
            versions.valid_from >= versions.valid_to
            or versions.system_from < versions.valid_from - interval '1 microsecond'
            or versions.system_from >= versions.system_to
            or versions.feature_timestamp >= versions.valid_from
        union all
        select 'gap, overlap or equal neighbours' as problem, versions.*
        from versions
        where
            versions.is_believed
            and (
                versions.valid_to <> coalesce(versions.next_valid_from, {{ end_of_time() }})
                or versions.feature_hash = versions.next_hash
                or versions.is_current <> (versions.next_valid_from is null)
            )
        union all
        select 'two beliefs at once' as problem, corrected.*
        from corrected
        inner join versions
            on
                {{ feature_same_entity({'entity_keys': entity_keys}, 'corrected', 'versions') }}
                and corrected.valid_from < versions.valid_to
                and versions.valid_from < corrected.valid_to
                and corrected.system_from < versions.system_to
                and versions.system_from < corrected.system_to
                and not (
                    corrected.valid_from = versions.valid_from
                    and corrected.system_from = versions.system_from
                    and corrected.system_to = versions.system_to
                )
    )

    select * from final
{%- endtest %}
