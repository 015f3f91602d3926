{% macro freshness_of(
    room, model, newest, loaded=none, limit_days=none, where=none, current=none, name=none
) -%}
    {#- One row about how fresh a table is, and how often news comes to it.

        Arguments: room (what kind of table), model (its name), newest (SQL: when what a row says happened or was
        computed), loaded (SQL: when the row could be known), limit_days (older than this is stale; none: no age is),
        where (SQL condition on the rows), current (SQL condition: of these, the rows that say what is so now; default:
        all), name (what to call it; default: the model).
        Use: in `monitor_freshness`.

        News is content of a day of which there was none: it arrives on the day on which the first of it could be known,
        so that a correction is no news. `usual_gap_days` is the 95th percentile of the days from one arrival to the next
        (`percentile_disc`: one of them); NULL below five gaps, where one in six would exceed all before it by chance.
        `last_year_arrival_day` is the newest arrival up to the same day last year. -#}
    {%- set known, current = loaded or newest, current or 'true' -%}
    select
        '{{ room }}' as room,
        '{{ name or model }}' as table_name,
        cast(coalesce(sum(arrivals.row_count), 0) as bigint) as row_count,
        max(arrivals.newest_at) as newest_at,
        max(arrivals.newest_loaded_at) as newest_loaded_at,
        max(arrivals.arrival_day) as arrival_day,
        max(
            case when arrivals.arrival_day <= {{ day_number(last_year()) }} then arrivals.arrival_day end
        ) as last_year_arrival_day,
        case
            when count(arrivals.gap_days) >= 5
                then cast(percentile_disc(0.95) within group (order by arrivals.gap_days) as integer)
        end as usual_gap_days,
        cast({{ limit_days if limit_days is not none else 'null' }} as integer) as limit_days
    from (
        select
            contents.*,
            -- what arrives on one day is one arrival
            nullif(contents.arrival_day - lag(contents.arrival_day) over (order by contents.arrival_day), 0)
                as gap_days
        from (
            select
                min(case when {{ newest }} is not null then {{ day_number(known) }} end) as arrival_day,
                count(case when {{ current }} then 1 end) as row_count,
                max(case when {{ current }} then {{ newest }} end) as newest_at,
                max(case when {{ current }} then {{ known }} end) as newest_loaded_at
            from {{ ref(model) }}
            {%- if where %}
            where {{ where }}
            {%- endif %}
            group by {{ day_number(newest) }}
        ) as contents
    ) as arrivals
{%- endmacro %}
