{% macro value_points(reference, current, numbers, categories) -%}
    {#- Two tables of one shape as points for `drift`: how many values of each column lie at each point.

        Arguments
            reference, current: relations, both read several times. numbers, categories: lists of their columns.
        Gives `feature_name`, `number_value`, `category_value`, `reference_count`, `current_count`; at least one row
        per column where one of the tables has rows. What is neither finite nor NULL counts as NULL.

        Of a number, a point is one value, or a run of neighbouring values standing at its greatest. Sorting all values
        is what costs, and few of them decide. So values first fall into cells of equal width. A cell of several values
        is resolved into them only where
        - a decile of the reference lies in it, or the reference's least value does: PSI's bins end there;
        - the two distribution functions could be further apart within it than at the end of any cell: KS.
        Of the others, those between two deciles and two resolved cells are one run; it ends where the functions are as
        far apart as at no other cell's end.
        So PSI and KS come out exactly as of all values: nothing is approximated. Where cells are cut decides nothing but
        the time it takes: 8192 between the 5th and the 95th percentile of some rows of the reference, and as many
        beyond as there are values for. -#}
    {%- set cells, sampled_rows = 8192, 20000 -%}
    {%- if not numbers and not categories -%}
        {{ return(no_points()) }}
    {%- endif -%}
    with
    {%- if numbers %}
    sampled as (
        select
            {%- for name in numbers %}
            min({{ as_double(name) }}) as least_{{ loop.index }},
            percentile_disc(0.05) within group (order by {{ as_double(name) }}) as low_{{ loop.index }},
            percentile_disc(0.95) within group (order by {{ as_double(name) }}) as high_{{ loop.index }},
            max({{ as_double(name) }}) as greatest_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ some_rows(reference, sampled_rows) }} as some_rows
    ),

    scales as (
        select
            {%- for name in numbers %}
            coalesce(
                {{ cells }} / nullif(high_{{ loop.index }} - low_{{ loop.index }}, 0),
                {{ cells }} / nullif(greatest_{{ loop.index }} - least_{{ loop.index }}, 0),
                1
            ) as scale_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from sampled
    ),

    counted as (
        {%- for name in numbers %}
        {%- set number = loop.index %}
        select
            {{ number }} as feature,
            cell,
            min(least_value) as least_value,
            max(number_value) as number_value,
            cast(sum(reference_count) as double) as reference_count,
            cast(sum(current_count) as double) as current_count
        from (
            {%- for relation in (reference, current) %}
            select
                {{ cell_of(name, number) }} as cell,
                min({{ as_double(name) }}) as least_value,
                max({{ as_double(name) }}) as number_value,
                {{ 'count(*)' if loop.first else '0' }} as reference_count,
                {{ 'count(*)' if loop.last else '0' }} as current_count
            from {{ relation }}
            cross join scales
            group by {{ cell_of(name, number) }}
            {{ 'union all' if not loop.last }}
            {%- endfor %}
        ) as celled_{{ number }}
        group by cell
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ),

    cumulated as (
        select
            counted.*,
            sum(reference_count) over upward as reference_up_to,
            sum(current_count) over upward as current_up_to,
            nullif(sum(reference_count) over whole, 0) as reference_numbers,
            nullif(sum(current_count) over whole, 0) as current_numbers
        from counted
        where cell is not null
        window
            upward as (partition by feature order by cell rows between unbounded preceding and current row),
            whole as (partition by feature)
    ),

    compared as (
        select
            cumulated.*,
            abs(reference_up_to / reference_numbers - current_up_to / current_numbers) as distance,
            max(abs(reference_up_to / reference_numbers - current_up_to / current_numbers))
                over (partition by feature) as greatest_distance
        from cumulated
    ),

    judged as (
        select
            compared.*,
            case
                when reference_up_to = 0 then -1
                else floor(10 * (reference_up_to - reference_count) / reference_numbers)
            end as bin,
            case
                when least_value = number_value then false
                when reference_up_to = reference_count and reference_count > 0 then true
                when
                    floor(10 * (reference_up_to - reference_count) / reference_numbers)
                    <> floor(10 * reference_up_to / reference_numbers)
                    then true
                when
                    reference_up_to / reference_numbers - (current_up_to - current_count) / current_numbers
                    > greatest_distance
                    then true
                when
                    current_up_to / current_numbers - (reference_up_to - reference_count) / reference_numbers
                    > greatest_distance
                    then true
                else false
            end as is_resolved
        from compared
    ),

    runs as (
        select
            judged.*,
            sum(case when is_resolved or distance = greatest_distance then 1 else 0 end) over (
                partition by feature order by cell rows between unbounded preceding and 1 preceding
            ) as ends_before
        from judged
    ),

    resolved as (
        select
            feature,
            cell
        from runs
        where is_resolved
    ),

    number_points as (
        select
            feature,
            max(number_value) as number_value,
            sum(reference_count) as reference_count,
            sum(current_count) as current_count
        from runs
        where not is_resolved
        group by feature, ends_before, bin
        union all
        -- NULL; a condition on `cell` here would move to where cells are counted, and cost more than it saves
        select
            feature,
            cast(null as double) as number_value,
            sum(case when cell is null then reference_count else 0 end) as reference_count,
            sum(case when cell is null then current_count else 0 end) as current_count
        from counted
        group by feature
        having count(*) > count(cell)
        {%- for name in numbers %}
        {%- set number = loop.index %}
        {%- for relation in (reference, current) %}
        union all
        select
            {{ number }} as feature,
            celled.number_value,
            {{ 'count(*)' if loop.first else '0' }} as reference_count,
            {{ 'count(*)' if loop.last else '0' }} as current_count
        from (
            select
                {{ cell_of(name, number) }} as cell,
                {{ as_double(name) }} as number_value
            from {{ relation }}
            cross join scales
        ) as celled
        inner join ({{ few_values('resolved', 'cell', 'feature = ' ~ number) }}) as few on celled.cell = few.cell
        group by celled.number_value
        {%- endfor %}
        {%- endfor %}
    ),
    {%- endif %}

    final as (
        {%- if numbers %}
        select
            case feature
                {%- for name in numbers %}
                when {{ loop.index }} then '{{ name }}'
                {%- endfor %}
            end as feature_name,
            number_value,
            cast(null as {{ dbt.type_string() }}) as category_value,
            reference_count,
            current_count
        from number_points
        {%- endif %}
        {%- for name in categories %}
        {{ 'union all' if numbers or not loop.first }}
        select
            '{{ name }}' as feature_name,
            cast(null as double) as number_value,
            category_value,
            sum(reference_count) as reference_count,
            sum(current_count) as current_count
        from (
            select {{ adapter.quote(name) }} as category_value, 1 as reference_count, 0 as current_count
            from {{ reference }}
            union all
            select {{ adapter.quote(name) }} as category_value, 0 as reference_count, 1 as current_count
            from {{ current }}
        ) as categories_{{ loop.index }}
        group by category_value
        {%- endfor %}
    )

    select *
    from final
{%- endmacro %}

{% macro cell_of(name, number) -%}
    {#- The cell that a column's value falls into: an integer that never falls while the value rises; NULL where the
        value is NULL or not finite. What is too large for an integer falls into the first or the last cell.
        Arguments: name (of the column), number (of it in `scales`). -#}
    {%- set value = as_double(name) -%}
    coalesce(
        try_cast({{ value }} * scales.scale_{{ number }} as integer),
        case
            when {{ value }} >= 0 and {{ value }} < cast('infinity' as double) then 2147483647
            when {{ value }} < 0 and {{ value }} > cast('-infinity' as double) then -2147483648
        end
    )
{%- endmacro %}

{% macro as_double(name) -%}
    {#- A numeric column as double. Arguments: name (of the column). -#}
    cast({{ adapter.quote(name) }} as double)
{%- endmacro %}

{% macro finite(name) -%}
    {#- A numeric column as double, NULL where it is NaN or infinite: no statistic has a place for those.
        Arguments: name (of the column). -#}
    case
        when abs({{ as_double(name) }}) < cast('infinity' as double)
            then {{ as_double(name) }}
    end
{%- endmacro %}
