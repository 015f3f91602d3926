{% macro version_before(timeline, entity_keys, order_by, carried) -%}
    {#- Each instant of a timeline with the last version at or before it, of the same entity.

        Arguments
            timeline: a CTE of versions and instants, one below the other: `row_id` (negative for versions, not for
                instants), the keys, the columns of `order_by`, and `carried`, which no version has NULL.
            entity_keys, order_by: lists of column names.
            carried: columns of the version to bring along, as `version_<column>`; `row_id` always comes.
        Gives the instants' rows: the columns of the timeline and the version's, all NULL where there is none.

        Variants differ in how they walk. DuckDB's ASOF JOIN takes minutes where a few entities have many versions;
        it sorts once and walks the sorted rows, and the version carried along counts if it is of the same entity.
        Elsewhere a window for each entity says the same. -#}
    {{ return(adapter.dispatch('version_before')(timeline, entity_keys, order_by, carried)) }}
{%- endmacro %}

{% macro duckdb__version_before(timeline, entity_keys, order_by, carried) -%}
    select *
    from (
        select
            walk.*,
            {%- for column in entity_keys + ['row_id'] + carried %}
            last_value(case when walk.row_id < 0 then walk.{{ column }} end ignore nulls)
                over forward as version_{{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        from (
            select *
            from {{ timeline }}
            order by {{ (entity_keys + order_by + ['row_id']) | join(', ') }}
        ) as walk
        window forward as (rows between unbounded preceding and current row)
    ) as walked
    where
        walked.row_id >= 0
        {%- for key in entity_keys %}
        and walked.{{ key }} = walked.version_{{ key }}
        {%- endfor %}
{%- endmacro %}

{% macro default__version_before(timeline, entity_keys, order_by, carried) -%}
    select *
    from (
        select
            walk.*,
            {%- for column in ['row_id'] + carried %}
            {{ last_known('case when walk.row_id < 0 then walk.' ~ column ~ ' end', 'forward') }}
                as version_{{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ timeline }} as walk
        window forward as (
            partition by {{ entity_keys | join(', ') }}
            order by {{ (order_by + ['row_id']) | join(', ') }}
            rows between unbounded preceding and current row
        )
    ) as walked
    where
        walked.row_id >= 0
        and walked.version_row_id is not null
{%- endmacro %}
