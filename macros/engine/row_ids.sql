{% macro row_ids() -%}
    {#- A number for each row of a query, from 0 up, of no meaning but to tell rows apart; on DuckDB in their order.
        Use: in a CTE that is `as {{ materialized() }}`, so that every reader sees the same numbers.
        Variants differ because a row number over all rows would bring them to one machine on Spark. -#}
    {{ return(adapter.dispatch('row_ids')()) }}
{%- endmacro %}

{% macro duckdb__row_ids() -%}
    row_number() over () - 1
{%- endmacro %}

{% macro spark__row_ids() -%}
    monotonically_increasing_id()
{%- endmacro %}

{% macro materialized() -%}
    {#- After `as` of a CTE that is to be computed once.
        Variants differ because Spark has no such word: it computes once what `row_ids` makes differ from time to time. -#}
    {{ return(adapter.dispatch('materialized')()) }}
{%- endmacro %}

{% macro duckdb__materialized() -%}
    materialized
{%- endmacro %}

{% macro spark__materialized() -%}
{%- endmacro %}
