{% macro freshness_of(room, model, newest, loaded=none, limit_days=none, where=none, name=none) -%}
    {#- One row about how fresh a table is.
        Arguments: room (what kind of table), model (its name), newest (SQL: when what a row says happened or was
        computed), loaded (SQL: when the row could be known), limit_days (older than this is stale; none: no age is),
        where (SQL condition on the rows), name (what to call it; default: the model).
        Use: in `monitor_freshness`. -#}
    select
        '{{ room }}' as room,
        '{{ name or model }}' as table_name,
        count(*) as row_count,
        max({{ newest }}) as newest_at,
        max({{ loaded or newest }}) as newest_loaded_at,
        cast({{ limit_days if limit_days is not none else 'null' }} as integer) as limit_days
    from {{ ref(model) }}
    {%- if where %}
    where {{ where }}
    {%- endif %}
{%- endmacro %}
