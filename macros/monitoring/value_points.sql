{% macro value_points(reference, current, numbers, categories) -%}
    {#- Two tables of one shape as points for `drift`: how many values of each column lie at each point.

        Arguments
            reference, current: relations, both read several times. numbers, categories: lists of their columns.
        Gives `feature_name`, `number_value`, `category_value`, `reference_count`, `current_count`; at least one row
        per column where one of the tables has rows. What is neither finite nor NULL counts as NULL.

        Of a number, a point is one value, or a whole cell of neighbouring values standing at its greatest. Sorting all
        values is what costs, and few of them decide. So values first fall into 16384 cells of equal width (three
        standard deviations to either side of the reference's mean; what is beyond falls into the outermost). A cell
        of several values is resolved into them only where
        - a decile of the reference lies in it, or the reference's least value does: PSI's bins end there;
        - the two distribution functions could be further apart within it than at the end of any cell: KS.
        A cell of one value is its point already.
        So PSI and KS come out exactly as of all values: nothing is approximated. -#}
    {%- set cells = 16384 -%}
    {%- if not numbers and not categories -%}
        {{ return(
            'select cast(null as ' ~ dbt.type_string() ~ ') as feature_name, cast(null as double) as number_value, '
            ~ 'cast(null as ' ~ dbt.type_string() ~ ') as category_value, 0 as reference_count, 0 as current_count '
            ~ 'where 1 = 0'
        ) }}
    {%- endif -%}
    with
    {%- if numbers %}
    moments as (
        select
            {%- for name in numbers %}
            min({{ finite(name) }}) as least_{{ loop.index }},
            max({{ finite(name) }}) as greatest_{{ loop.index }},
            avg({{ finite(name) }}) as mean_{{ loop.index }},
            stddev_pop({{ finite(name) }}) as deviation_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ reference }}
    ),

    ranges as (
        select
            {%- for name in numbers %}
            coalesce(greatest(least_{{ loop.index }}, mean_{{ loop.index }} - 3 * deviation_{{ loop.index }}), 0)
                as start_{{ loop.index }},
            least(greatest_{{ loop.index }}, mean_{{ loop.index }} + 3 * deviation_{{ loop.index }})
                as end_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from moments
    ),

    -- subtracting, scaling by what is not negative, rounding down and clamping keep the order of values
    scales as (
        select
            {%- for name in numbers %}
            start_{{ loop.index }},
            coalesce({{ cells }} / nullif(end_{{ loop.index }} - start_{{ loop.index }}, 0), 0)
                as scale_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from ranges
    ),

    counted as (
        {%- for name in numbers %}
        select
            {{ loop.index }} as feature,
            cell,
            min(least_value) as least_value,
            max(number_value) as number_value,
            sum(reference_count) as reference_count,
            sum(current_count) as current_count
        from (
            {{ cells_of(reference, name, loop.index, cells, 0) }}
            union all
            {{ cells_of(current, name, loop.index, cells, 1) }}
        ) as celled_{{ loop.index }}
        group by cell
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ),

    cumulated as (
        select
            counted.*,
            sum(reference_count) over upward as reference_up_to,
            sum(current_count) over upward as current_up_to,
            cast(nullif(sum(reference_count) over whole, 0) as double) as reference_numbers,
            cast(nullif(sum(current_count) over whole, 0) as double) as current_numbers
        from counted
        where cell is not null
        window
            upward as (partition by feature order by cell rows between unbounded preceding and current row),
            whole as (partition by feature)
    ),

    compared as (
        select
            cumulated.*,
            max(abs(reference_up_to / reference_numbers - current_up_to / current_numbers))
                over (partition by feature) as distance
        from cumulated
    ),

    resolved as (
        select
            feature,
            cell
        from compared
        where
            least_value < number_value
            and (
                (reference_up_to = reference_count and reference_count > 0)
                or floor(10 * (reference_up_to - reference_count) / reference_numbers)
                <> floor(10 * reference_up_to / reference_numbers)
                or reference_up_to / reference_numbers - (current_up_to - current_count) / current_numbers > distance
                or current_up_to / current_numbers - (reference_up_to - reference_count) / reference_numbers > distance
            )
    ),

    number_points as (
        select
            counted.feature,
            counted.number_value,
            counted.reference_count,
            counted.current_count
        from counted
        left join resolved on counted.feature = resolved.feature and counted.cell = resolved.cell
        where resolved.cell is null
        {%- for name in numbers %}
        union all
        select
            {{ loop.index }} as feature,
            celled_{{ loop.index }}.number_value,
            sum(celled_{{ loop.index }}.reference_count) as reference_count,
            sum(celled_{{ loop.index }}.current_count) as current_count
        from (
            {{ cells_of(reference, name, loop.index, cells, 0, is_whole=false) }}
            union all
            {{ cells_of(current, name, loop.index, cells, 1, is_whole=false) }}
        ) as celled_{{ loop.index }}
        inner join resolved
            on celled_{{ loop.index }}.cell = resolved.cell and resolved.feature = {{ loop.index }}
        group by celled_{{ loop.index }}.number_value
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

{% macro cells_of(relation, name, number, cells, sample, is_whole=true) -%}
    {#- The rows of a sample with the cell that a column's value falls into; with `is_whole`, already counted by cell.
        Arguments: relation, name (of the column), number (of it in `scales`), cells, sample (0 reference, 1 current). -#}
    {%- set value = finite(name) -%}
    select
        {%- set cell -%}
        cast(
            greatest(least(floor(({{ value }} - scales.start_{{ number }}) * scales.scale_{{ number }}), {{ cells }}), -1)
            as integer
        )
        {%- endset %}
        case when {{ value }} is not null then {{ cell }} end as cell,
        {%- if is_whole %}
        min({{ value }}) as least_value,
        max({{ value }}) as number_value,
        {{ 'count(*)' if sample == 0 else '0' }} as reference_count,
        {{ 'count(*)' if sample == 1 else '0' }} as current_count
        {%- else %}
        {{ value }} as number_value,
        {{ 1 - sample }} as reference_count,
        {{ sample }} as current_count
        {%- endif %}
    from {{ relation }}
    cross join scales
    {%- if is_whole %}
    group by cell
    {%- endif %}
{%- endmacro %}

{% macro finite(name) -%}
    {#- A numeric column as double, NULL where it is NaN or infinite: no statistic has a place for those.
        Arguments: name (of the column). -#}
    case
        when abs(cast({{ adapter.quote(name) }} as double)) < cast('infinity' as double)
            then cast({{ adapter.quote(name) }} as double)
    end
{%- endmacro %}
