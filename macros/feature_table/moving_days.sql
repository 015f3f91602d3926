{% macro moving_days(events, windows=[]) -%}
    {#- The days on which a value over `events` can move: the day after each event, and the day on which it leaves
        each window. One row per `nim`-like key and day.
        Arguments: events (a CTE with the entity's key columns and `hari`), windows (lengths in days).
        Use: `instants as ({{ moving_days('daily', windows=[7, 30, 90]) }})`. -#}
    {%- set keys = model_meta('feature_table').get('entity_keys', []) -%}
    {%- for offset in [0] + windows %}
    select distinct
        {%- for key in keys %}
        {{ events }}.{{ key }},
        {%- endfor %}
        {{ events }}.hari + {{ offset + 1 }} as hari
    from {{ events }}
    {{ 'union' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
