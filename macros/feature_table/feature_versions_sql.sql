{% macro feature_versions_sql(settings, columns, names, existing) -%}
    {#- Versions out of points: equal neighbours merged, the entity's last version before the scope taken along (its
        `valid_to` may move), `valid_to` from the next version.
        Arguments: settings, columns (features), names (temporary tables), existing (none in a full build). -#}
    {%- set keys = settings.entity_keys -%}
    with
    rounded as (
        select
            {%- for key in keys %}
            points.{{ key }},
            {%- endfor %}
            {%- for column in columns %}
            {% if column.type in ('DOUBLE', 'FLOAT') -%}
            {#- a division by zero is a number on one engine and NULL on another; here it is not known -#}
            case when abs(points.{{ column.name }}) < cast('infinity' as double) then round(points.{{ column.name }}, 9) end
                as {{ column.name }},
            {%- else -%}
            points.{{ column.name }},
            {%- endif %}
            {%- endfor %}
            points.valid_from,
            points.feature_timestamp,
            {{ known_from('points.valid_from', 'points.loaded_at') }} as system_from
        from {{ names.points }} as points
    ),

    points as (
        select
            rounded.*,
            {{ feature_hash(columns, 'rounded') }} as feature_hash
        from rounded
        {%- if existing is not none %}
        union all
        select
            {%- for key in keys %}
            believed.{{ key }},
            {%- endfor %}
            {%- for column in columns %}
            believed.{{ column.name }},
            {%- endfor %}
            believed.valid_from,
            believed.feature_timestamp,
            believed.system_from,
            believed.feature_hash
        from {{ existing }} as believed
        inner join {{ names.scope }} as scope on {{ feature_same_entity(settings, 'believed', 'scope') }}
        where
            believed.system_to = {{ end_of_time() }}
            and believed.valid_from < {{ day_start('scope.since_day') }}
            and believed.valid_to >= {{ day_start('scope.since_day') }}
        {%- endif %}
    ),

    neighbours as (
        select
            points.*,
            lag(points.feature_hash) over (
                partition by {{ keys | join(', ') }}
                order by points.valid_from
            ) as previous_hash
        from points
    ),

    starts as (
        select *
        from neighbours
        where neighbours.previous_hash is null or neighbours.previous_hash <> neighbours.feature_hash
    ),

    bounded as (
        select
            starts.*,
            coalesce(
                lead(starts.valid_from) over (
                    partition by {{ keys | join(', ') }}
                    order by starts.valid_from
                ),
                {{ end_of_time() }}
            ) as valid_to
        from starts
    )

    select
        {%- for key in keys %}
        bounded.{{ key }},
        {%- endfor %}
        {%- for column in columns %}
        bounded.{{ column.name }},
        {%- endfor %}
        bounded.valid_from,
        bounded.valid_to,
        bounded.valid_to = {{ end_of_time() }} as is_current,
        bounded.feature_timestamp,
        bounded.feature_hash,
        bounded.system_from,
        {{ end_of_time() }} as system_to
    from bounded
{%- endmacro %}
