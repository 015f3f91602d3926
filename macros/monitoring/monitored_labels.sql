{% macro monitored_labels() -%}
    {#- The labels of every monitored use case, as one query: `use_case`, `entity_key` (the keys as one text, joined by
        `/`, as `monitor_prediction_history` has them), `cutoff`, `label` (NULL at `as_of`: the current population). -#}
    {%- for name in monitored_use_cases() %}
    {%- set parts = [] -%}
    {%- for key in use_case_meta(name).get('entity_keys', []) -%}
        {%- do parts.append('cast(labels.' ~ key ~ ' as ' ~ dbt.type_string() ~ ')') -%}
    {%- endfor %}
    select
        '{{ name }}' as use_case,
        {{ parts | join(" || '/' || ") or 'null' }} as entity_key,
        labels.cutoff,
        labels.label
    from {{ ref('label_' ~ name) }} as labels
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
