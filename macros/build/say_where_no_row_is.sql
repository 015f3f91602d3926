{% macro say_where_no_row_is() -%}
    {#- Says so in the log where no raw table has a row: the build is then as of its own start, and all it makes is empty.
        Use: post-hook of the model `this_build`. -#}
    {%- if execute -%}
        {%- set rows -%}
            select count(*)
            from (
                {%- for source_name, table_name in raw_tables() %}
                (select 1 as one from {{ raw(source_name, table_name) }} limit 1)
                {{ 'union all' if not loop.last }}
                {%- endfor %}
            ) as first_rows
        {%- endset -%}
        {%- if (run_query(rows).rows[0][0] | int) == 0 -%}
            {%- do log(
                'NO ROWS  no raw table has a row, so everything is empty, as of the start of this build. '
                ~ 'Add rows to the raw tables; INSIGHTERA_AS_OF gives another instant.', info=true
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
