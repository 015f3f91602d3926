{% test versions_without_gap(model, entity_keys) -%}
    {#- An entity's versions, each with its key and times, follow one another without overlap or gap,
        none is empty, and the last one is open. -#}
    select
        {{ entity_keys | join(', ') }},
        valid_from,
        valid_to,
        next_valid_from
    from (
        select
            {{ entity_keys | join(', ') }},
            valid_from,
            valid_to,
            lead(valid_from) over (
                partition by {{ entity_keys | join(', ') }}
                order by valid_from
            ) as next_valid_from
        from {{ model }}
    ) as versions
    where
        {{ (entity_keys + ['valid_from', 'valid_to']) | join(' is null or ') }} is null
        or valid_from >= valid_to
        or valid_to <> coalesce(next_valid_from, {{ end_of_time() }})
{%- endtest %}
