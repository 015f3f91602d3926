{% macro weighted_gpa(grades) -%}
    {#- Grade point average, weighted by credits; unweighted where the credits of a course are not known, so that no
        graded course is left out. NULL without grades.
        Arguments: grades (a CTE with `bobot`, grade points, and `sks`, credits), inside a GROUP BY.
        Use: `{{ weighted_gpa('standing') }} as gpa_cumulative`. -#}
    coalesce(
        case
            when count({{ grades }}.bobot) = count({{ grades }}.bobot * {{ grades }}.sks)
                then
                    sum({{ grades }}.bobot * {{ grades }}.sks)
                    / nullif(sum(case when {{ grades }}.bobot is not null then {{ grades }}.sks end), 0)
        end,
        avg({{ grades }}.bobot)
    )
{%- endmacro %}
