{% macro weighted_gpa(grades) -%}
    {#- Grade point average, weighted by credits; unweighted where no course's credits are known.
        Arguments: grades (a CTE with `bobot`, grade points, and `sks`, credits), inside a GROUP BY.
        Use: `{{ weighted_gpa('standing') }} as gpa_cumulative`. -#}
    coalesce(
        sum({{ grades }}.bobot * {{ grades }}.sks)
        / nullif(sum(case when {{ grades }}.bobot is not null then {{ grades }}.sks end), 0),
        avg({{ grades }}.bobot)
    )
{%- endmacro %}
