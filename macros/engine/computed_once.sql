{% macro computed_once(rows, columns, keeps_rows=true) -%}
    {#- Rows with further columns, each computed once for a row, however many expressions then read it.
        Arguments: rows (name of a relation or a CTE), columns (SQL expression by name; no `*` in it), keeps_rows (false:
        the further columns alone).
        Variants differ because Spark writes an expression in the place of its column wherever a filter or a constraint
        reads it: a cast that reads a text five times, of a text that reads what came six times, is thirty, and a few layers
        make plans of many megabytes. What a generator yields it leaves alone.
        Example, on Spark:
            select typed.*, once.* from typed lateral view inline(array(struct(a + b as `sum`))) once -#}
    {{ return(adapter.dispatch('computed_once')(rows, columns, keeps_rows)) }}
{%- endmacro %}

{% macro duckdb__computed_once(rows, columns, keeps_rows) -%}
    select
        {{ rows ~ '.*,' if keeps_rows }}
        {%- for name, expression in columns.items() %}
        {{ expression }} as {{ adapter.quote(name) }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ rows }}
{%- endmacro %}

{% macro spark__computed_once(rows, columns, keeps_rows) -%}
    select
        {{ rows ~ '.*,' if keeps_rows }}
        once.*
    from {{ rows }}
    lateral view inline(array(struct(
        {%- for name, expression in columns.items() %}
        {{ expression }} as {{ adapter.quote(name) }}{{ ',' if not loop.last }}
        {%- endfor %}
    ))) once
{%- endmacro %}
