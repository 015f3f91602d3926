{% macro feature_points_sql(settings, scope, compiled_code) -%}
    {#- What the model computes, cut to the scope: rows outside it are there only to fill its windows. -#}
    select points.*
    from (
        {{ compiled_code }}
    ) as points
    inner join {{ scope }} as scope on {{ feature_same_entity(settings, 'points', 'scope') }}
    where
        points.valid_from >= {{ day_start('scope.since_day') }}
        and points.valid_from <= {{ day_start('scope.until_day') }}
{%- endmacro %}
