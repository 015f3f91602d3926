{% macro numbered_repetitions(relation, broken, keys, order_by) -%}
    {#- The rows of a relation with `repetition`: of the sound rows that share a key, 1 for the first, 2 for the next.
        Arguments: relation (a CTE), broken (its column that is NULL in sound rows), keys, order_by (lists of columns).
        Variants differ in the cheapest way: almost every key stands once, so DuckDB sorts only the others; Spark would
        read the relation twice for that, and writes one window. -#}
    {{ return(adapter.dispatch('numbered_repetitions')(relation, broken, keys, order_by)) }}
{%- endmacro %}

{% macro duckdb__numbered_repetitions(relation, broken, keys, order_by) -%}
    with
    repeated_keys as (
        select {{ keys | join(', ') }}
        from {{ relation }}
        where {{ relation }}.{{ broken }} is null
        group by {{ keys | join(', ') }}
        having count(*) > 1
    ),

    repeated as (
        select
            {{ relation }}.*,
            row_number() over (
                partition by {{ keys | join(', ') }}
                order by {% for name in order_by %}{{ relation }}.{{ name }}{{ ', ' if not loop.last }}{% endfor %}
            ) as repetition
        from {{ relation }}
        where
            {{ relation }}.{{ broken }} is null
            and exists (
                select 1
                from repeated_keys
                where {% for key in keys -%}
                    repeated_keys.{{ key }} = {{ relation }}.{{ key }}{{ ' and ' if not loop.last }}
                {%- endfor %}
            )
    )

    select
        {{ relation }}.*,
        1 as repetition
    from {{ relation }}
    where
        {{ relation }}.{{ broken }} is not null
        or not exists (
            select 1
            from repeated_keys
            where {% for key in keys -%}
                repeated_keys.{{ key }} = {{ relation }}.{{ key }}{{ ' and ' if not loop.last }}
            {%- endfor %}
        )
    union all
    select * from repeated
{%- endmacro %}

{% macro spark__numbered_repetitions(relation, broken, keys, order_by) -%}
    select
        {{ relation }}.*,
        row_number() over (
            partition by {{ relation }}.{{ broken }}, {{ keys | join(', ') }}
            order by {% for name in order_by %}{{ relation }}.{{ name }}{{ ', ' if not loop.last }}{% endfor %}
        ) as repetition
    from {{ relation }}
{%- endmacro %}
