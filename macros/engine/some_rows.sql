{% macro some_rows(relation, number) -%}
    {#- At most `number` rows of a relation, any with equal chance, as they stand in FROM before an alias: to get an idea
        of its values, where nothing depends on which rows they are.
        Arguments: relation, number (of rows).
        Only DuckDB comes here, as `value_points` runs there alone (`drift_points`). -#}
    (select * from {{ relation }} using sample reservoir({{ number }} rows))
{%- endmacro %}
