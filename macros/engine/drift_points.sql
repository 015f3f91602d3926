{% macro drift_points(reference, current, numbers, categories) -%}
    {#- Two tables of one shape as points for `drift`: how many values of each column lie at each point.
        Arguments: reference, current (relations), numbers, categories (lists of their columns).
        Gives `feature_name`, `number_value`, `category_value`, `reference_count`, `current_count`; at least one row
        per column where one of the tables has rows. What is neither finite nor NULL counts as NULL.
        Variants differ in what is cheap. Elsewhere `value_points` reads the tables several times to sort few values;
        Spark computes a CTE anew for each that reads it, so it counts every value, of all columns in one shuffle. -#}
    {{ return(adapter.dispatch('drift_points')(reference, current, numbers, categories)) }}
{%- endmacro %}

{% macro duckdb__drift_points(reference, current, numbers, categories) -%}
    {{ value_points(reference, current, numbers, categories) }}
{%- endmacro %}

{% macro spark__drift_points(reference, current, numbers, categories) -%}
    {%- if not numbers and not categories -%}
    select
        cast(null as string) as feature_name,
        cast(null as double) as number_value,
        cast(null as string) as category_value,
        0 as reference_count,
        0 as current_count
    where 1 = 0
    {%- else -%}
    select
        points.point.feature_name,
        points.point.number_value,
        points.point.category_value,
        sum(points.reference_count) as reference_count,
        sum(points.current_count) as current_count
    from (
        {%- for relation in (reference, current) %}
        select
            explode(array(
                {%- for name in numbers %}
                named_struct(
                    'feature_name', '{{ name }}',
                    'number_value', {{ finite(name) }},
                    'category_value', cast(null as string)
                ){{ ',' if categories or not loop.last }}
                {%- endfor %}
                {%- for name in categories %}
                named_struct(
                    'feature_name', '{{ name }}',
                    'number_value', cast(null as double),
                    'category_value', {{ adapter.quote(name) }}
                ){{ ',' if not loop.last }}
                {%- endfor %}
            )) as point,
            {{ 1 if loop.first else 0 }} as reference_count,
            {{ 0 if loop.first else 1 }} as current_count
        from {{ relation }}
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as points
    group by points.point.feature_name, points.point.number_value, points.point.category_value
    {%- endif -%}
{%- endmacro %}
