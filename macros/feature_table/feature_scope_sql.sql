{% macro feature_scope_sql(settings, before, now) -%}
    {#- The entities to compute and from which day, as `feature_scope()` describes them.
        Arguments: settings (meta.feature_table), before (as_of of the last build, none in a full build), now. -#}
    {%- set keys = settings.entity_keys | join(', ') -%}
    {%- set this_day = day_number("cast('" ~ now ~ "' as timestamp)") -%}
    {%- if before is none -%}
        with entities as (
            {%- for input in settings.inputs %}
            select {{ keys }}
            from {{ ref(input.fact) }}
            {{ 'union all' if not loop.last }}
            {%- endfor %}
        )

        select distinct {{ keys }}, -100000 as since_day, {{ this_day }} as until_day
        from entities
    {%- else -%}
        {%- set last_day = day_number("cast('" ~ before ~ "' as timestamp)") -%}
        with moved as (
            {%- for input in settings.inputs %}
            {%- set recorded_at = input.get('recorded_at', 'recorded_at') %}
            {%- set loaded_at = input.get('loaded_at', 'loaded_at') %}
            {%- set moves_at = input.get('moves_at', recorded_at) %}
            {%- set counted = came_on_its_day('input', recorded_at, loaded_at) if input.get('late_rows') == 'ignored' else 'true' %}
            -- new rows: a value can move from the day after the row was recorded
            select {{ keys }}, {{ day_number(recorded_at) }} + 1 as since_day
            from {{ ref(input.fact) }} as input
            where {{ loaded_at }} >= cast('{{ before }}' as timestamp) and {{ counted }}
            union all
            -- open windows: an older row that can still move a value on a day not yet computed
            select {{ keys }}, {{ last_day }} + 1 as since_day
            from {{ ref(input.fact) }} as input
            where
                {{ counted }}
                and {{ day_number(moves_at) }} >= {{ last_day }} - {{ input.get('window_days', 0) }}
                and {{ day_number(moves_at) }} < {{ this_day }}
            {{ 'union all' if not loop.last }}
            {%- endfor %}
        )

        select {{ keys }}, min(since_day) as since_day, {{ this_day }} as until_day
        from moved
        group by {{ keys }}
        having min(since_day) <= {{ this_day }}
    {%- endif -%}
{%- endmacro %}
