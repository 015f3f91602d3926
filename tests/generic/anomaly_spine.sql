{% test anomaly_spine(model, entity_keys) -%}
    {#- The rows of a search for anomalies: each has its entity's keys and a cutoff at or before `as_of`.
        Arguments: entity_keys (columns). -#}
    select
        {{ entity_keys | join(', ') }},
        cutoff
    from {{ model }}
    where
        {{ (entity_keys + ['cutoff']) | join(' is null or ') }} is null
        or cutoff > {{ as_of() }}
{%- endtest %}
