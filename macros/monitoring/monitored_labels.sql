{% macro monitored_labels() -%}
    {#- The labels of every monitored use case, as one query: `use_case`, `task`, `entity_key` (the keys as one text, as
        `monitor_prediction_history` has them: several joined by `/`, which within one is `%2F`), `target` and `horizon`
        (NULL where the task has none), `cutoff`, `label`. The current population are the rows whose `cutoff` is
        `as_of`. A label that failed has no rows here: they judge nothing. -#}
    {%- for name in monitored_use_cases() %}
    {%- set parts = [] -%}
    {%- set meta = use_case_meta(name) -%}
    {%- set columns = task_columns(meta.get('task')) -%}
    {%- set keys = meta.get('entity_keys', []) -%}
    {%- for key in keys -%}
        {%- set part = 'cast(labels.' ~ key ~ ' as ' ~ dbt.type_string() ~ ')' -%}
        {%- set escaped = "replace(replace(" ~ part ~ ", '%', '%25'), '/', '%2F')" -%}
        {%- do parts.append(escaped if keys | length > 1 else part) -%}
    {%- endfor %}
    {%- set labels = ref('label_' ~ name) %}
    {%- if 'label_' ~ name in refused_use_cases().get(name, []) %}
    select
        '{{ name }}' as use_case,
        {{ text_literal(meta.get('task', '')) }} as task,
        cast(null as {{ dbt.type_string() }}) as entity_key,
        cast(null as {{ dbt.type_string() }}) as target,
        cast(null as integer) as horizon,
        cast(null as timestamp) as cutoff,
        cast(null as double) as label
    where 1 = 0
    {%- else %}
    select
        '{{ name }}' as use_case,
        {{ text_literal(meta.get('task', '')) }} as task,
        {{ parts | join(" || '/' || ") or 'null' }} as entity_key,
        cast({{ 'labels.' ~ columns.target if columns.target else 'null' }} as {{ dbt.type_string() }}) as target,
        cast({{ 'labels.' ~ columns.horizon if columns.horizon else 'null' }} as integer) as horizon,
        labels.cutoff,
        cast({{ 'labels.' ~ columns.label if columns.label else 'null' }} as double) as label
    from {{ labels }} as labels
    {%- endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
