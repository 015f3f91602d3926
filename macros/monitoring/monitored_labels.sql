{% macro monitored_labels() -%}
    {#- The labels of every monitored use case, as one query: `use_case`, `entity_key` (the keys as one text, as
        `monitor_prediction_history` has them: several joined by `/`, which within one is `%2F`), `cutoff`, `label`. The
        current population are the rows whose `cutoff` is `as_of`. -#}
    {%- for name in monitored_use_cases() %}
    {%- set parts = [] -%}
    {%- set keys = use_case_meta(name).get('entity_keys', []) -%}
    {%- for key in keys -%}
        {%- set part = 'cast(labels.' ~ key ~ ' as ' ~ dbt.type_string() ~ ')' -%}
        {%- set escaped = "replace(replace(" ~ part ~ ", '%', '%25'), '/', '%2F')" -%}
        {%- do parts.append(escaped if keys | length > 1 else part) -%}
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
