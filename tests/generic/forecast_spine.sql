{% test forecast_spine(model, entity_keys) -%}
    {#- The rows of a forecast look only forward: each has its entity's keys, a target period, a horizon of one or more and a
        cutoff at or before `as_of`; its answer, a finite number, is known only after the cutoff, and stands there where
        that is at or before `as_of`, and nowhere else.
        Arguments: entity_keys (columns). -#}
    select
        {{ entity_keys | join(', ') }},
        target_period,
        cutoff,
        matures_at,
        label
    from {{ model }}
    where
        {{ (entity_keys + ['target_period', 'horizon', 'cutoff', 'matures_at']) | join(' is null or ') }} is null
        or horizon < 1
        or cutoff > {{ as_of() }}
        or matures_at <= cutoff
        or (label is null) <> (matures_at > {{ as_of() }})
        or abs(cast(label as double)) > {{ largest_double() }}
{%- endtest %}
