{% macro days_before(first, last=1) -%}
    {#- A window over the `timeline` of an entity: from `first` to `last` days before each of its days, both included.
        Use: `window last_7_days as ({{ days_before(7) }})`; `first`: a number, or `unbounded`. -#}
    {%- set keys = model_meta('feature_table').get('entity_keys', []) -%}
    partition by {% for key in keys %}timeline.{{ key }}{{ ', ' if not loop.last }}{% endfor %} order by timeline.hari
    range between {{ first }} preceding and {{ last }} preceding
{%- endmacro %}
