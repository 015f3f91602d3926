{% macro asked_last_year(spine, entity_keys, columns) -%}
    {#- Who was asked about a year before the build, as rows of a label: of the last week of cutoffs that lies before
        `last_year()`, and not a year before it, each entity's latest cutoff. No row where history does not reach that far,
        or where what was asked then has not matured yet.
        Arguments: spine (relation of the label), entity_keys, columns (lists of its columns).
        Gives `columns`, and `last_year()` as `cutoff`. -#}
    select
        {{ columns | join(', ') }},
        {{ last_year() }} as cutoff
    from (
        select
            {{ columns | join(', ') }},
            rank() over (partition by {{ entity_keys | join(', ') }} order by cutoff desc) as recency
        from {{ spine }}
        where
            cutoff <= {{ last_year() }}
            and cutoff > (
                select greatest(max(cutoff) - interval '7 days', {{ last_year() }} - interval '364 days')
                from {{ spine }}
                where cutoff <= {{ last_year() }}
            )
    ) as asked
    where recency = 1
{%- endmacro %}
