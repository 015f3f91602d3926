{% macro few_values(relation, column, condition) -%}
    {#- The values of a column where a condition holds, as a query of that one column. It is to be joined with many
        rows, and is said to give few, which the planner cannot know of a relation that much was computed for: DuckDB
        takes a list made rows for short, and would else hash the many rows instead.
        Arguments: relation (a CTE), column, condition (SQL over it).
        Only DuckDB comes here, as `value_points` runs there alone (`drift_points`). -#}
    select unnest(held) as {{ column }} from (select list({{ column }}) as held from {{ relation }} where {{ condition }})
{%- endmacro %}
