{% test label_spine(model, entity_keys, horizon_days) -%}
    {#- The rows of a use case look only forward: each has its entity's keys and a cutoff at or before `as_of`; its label
        is 0 or 1 where the horizon lies wholly before `as_of`, and NULL where it does not, so at `as_of` itself, which
        is whom scoring and monitoring take for the current population. An answer before the horizon is over would
        favour what comes early; a missing one after it would be left out of training without a word.
        Arguments: entity_keys (columns), horizon_days. -#}
    {%- set horizon_end = "cutoff + interval '" ~ horizon_days ~ " days'" -%}
    select
        {{ entity_keys | join(', ') }},
        cutoff,
        label
    from {{ model }}
    where
        {{ (entity_keys + ['cutoff']) | join(' is null or ') }} is null
        or cutoff > {{ as_of() }}
        or label not in (0, 1)
        or (label is null) <> ({{ horizon_end }} > {{ as_of() }})
{%- endtest %}
