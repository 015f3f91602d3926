{% test flagged_at_most(model, condition, most, spine) -%}
    {#- Of the population at `as_of` (rows of the label `spine`) at most this share is flagged in one go; one always may be.
        More means that scoring does not keep what it says. -#}
    select
        flagged.flagged_count,
        population.population_count
    from (
        select count(case when {{ condition }} then 1 end) as flagged_count
        from {{ model }}
    ) as flagged
    cross join (
        select count(*) as population_count
        from {{ spine }}
        where cutoff = {{ as_of() }}
    ) as population
    where
        flagged.flagged_count > 1
        and flagged.flagged_count > {{ most }} * population.population_count
{%- endtest %}
