{% macro moving_timeline(events, columns) -%}
    {#- The days of `instants` and those of the events in one line, for windows over them: the entity's keys, `hari`,
        `is_instant` (whether a version may begin) and the events' columns, NULL on a day without.
        Arguments: events (a CTE with a row per entity and `hari`), columns (of it); a CTE `instants` stands before it.
        Use: `instants as ({{ moving_days('daily', windows=[7]) }}), timeline as ({{ moving_timeline('daily', ['hadir']) }})`. -#}
    {%- set keys = model_meta('feature_table').get('entity_keys', []) %}
    select
        {%- for key in keys + ['hari'] %}
        coalesce(instants.{{ key }}, {{ events }}.{{ key }}) as {{ key }},
        {%- endfor %}
        instants.hari is not null as is_instant,
        {%- for column in columns %}
        {{ events }}.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from instants
    full outer join {{ events }}
        on
            {%- for key in keys %}
            instants.{{ key }} = {{ events }}.{{ key }} and
            {%- endfor %}
            instants.hari = {{ events }}.hari
{%- endmacro %}
