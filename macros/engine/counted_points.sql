{% macro counted_points(reference, current, numbers, categories) -%}
    {#- Two tables of one shape as points for `drift`, one for each value: as `drift_points`, but every value is counted, of
        all columns in one pass. Cheap to plan, and cheap to run where rows are few.
        Arguments: reference, current (relations), numbers, categories (lists of their columns).
        Gives `feature_name`, `number_value`, `category_value`, `reference_count`, `current_count`.
        Variants differ in how a row becomes one for each of its columns. -#}
    {%- if not numbers and not categories -%}
        {{ return(no_points()) }}
    {%- endif -%}
    select
        points.point.feature_name,
        points.point.number_value,
        points.point.category_value,
        sum(points.reference_count) as reference_count,
        sum(points.current_count) as current_count
    from (
        {%- for relation in (reference, current) %}
        select
            {{ row_for_each_column(numbers, categories) }} as point,
            {{ 1 if loop.first else 0 }} as reference_count,
            {{ 0 if loop.first else 1 }} as current_count
        from {{ relation }}
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as points
    group by points.point.feature_name, points.point.number_value, points.point.category_value
{%- endmacro %}

{% macro no_points() -%}
    {#- The points of no column: no row. -#}
    select
        cast(null as {{ dbt.type_string() }}) as feature_name,
        cast(null as double) as number_value,
        cast(null as {{ dbt.type_string() }}) as category_value,
        0 as reference_count,
        0 as current_count
    where 1 = 0
{%- endmacro %}

{% macro row_for_each_column(numbers, categories) -%}
    {#- A generator: a struct of `feature_name`, `number_value`, `category_value` for each column of a row.
        Arguments: numbers, categories (lists of columns). -#}
    {{ return(adapter.dispatch('row_for_each_column')(numbers, categories)) }}
{%- endmacro %}

{% macro duckdb__row_for_each_column(numbers, categories) -%}
    unnest([
        {%- for name in numbers + categories %}
        struct_pack(
            feature_name := '{{ name }}',
            number_value := {{ finite(name) if name in numbers else 'cast(null as double)' }},
            category_value := {{ adapter.quote(name) if name in categories else 'cast(null as varchar)' }}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ])
{%- endmacro %}

{% macro spark__row_for_each_column(numbers, categories) -%}
    explode(array(
        {%- for name in numbers + categories %}
        named_struct(
            'feature_name', '{{ name }}',
            'number_value', {{ finite(name) if name in numbers else 'cast(null as double)' }},
            'category_value', {{ adapter.quote(name) if name in categories else 'cast(null as string)' }}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ))
{%- endmacro %}
