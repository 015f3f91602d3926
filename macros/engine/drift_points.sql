{% macro drift_points(reference, current, numbers, categories) -%}
    {#- Two tables of one shape as points for `drift`: how many values of each column lie at each point.
        Arguments: reference, current (relations), numbers, categories (lists of their columns).
        Gives `feature_name`, `number_value`, `category_value`, `reference_count`, `current_count`; at least one row
        per column where one of the tables has rows. What is neither finite nor NULL counts as NULL.
        Variants differ in what is cheap. Elsewhere `value_points` reads the tables several times to sort few values;
        Spark computes a CTE anew for each that reads it, so it counts every value, of all columns in one shuffle
        (`counted_points`). -#}
    {{ return(adapter.dispatch('drift_points')(reference, current, numbers, categories)) }}
{%- endmacro %}

{% macro duckdb__drift_points(reference, current, numbers, categories) -%}
    {{ value_points(reference, current, numbers, categories) }}
{%- endmacro %}

{% macro spark__drift_points(reference, current, numbers, categories) -%}
    {{ counted_points(reference, current, numbers, categories) }}
{%- endmacro %}
