{% macro try_cast_raw(value, data_type, type='VARCHAR') -%}
    {#- The value that a raw column says, NULL where it says none of that type. Never rounds.
        Arguments: value (a SQL expression), data_type (varchar, integer, double, boolean, date, timestamp: what the
        contract wants), type (what the raw column is).
        Timestamps come out in UTC; one without an offset is UTC already.
        Variants differ in how an engine spells a cast that may fail. -#}
    {{ return(adapter.dispatch('try_cast_raw')(value, data_type, type)) }}
{%- endmacro %}

{% macro duckdb__try_cast_raw(value, data_type, type) -%}
    {%- if type == data_type | upper -%}
        {{ value }}
    {%- elif data_type == 'varchar' -%}
        cast({{ value }} as varchar)
    {%- elif data_type == 'integer' -%}
        case
            when try_cast({{ value }} as double) = floor(try_cast({{ value }} as double))
                then try_cast({{ value }} as integer)
        end
    {%- elif data_type == 'timestamp' and type != 'DATE' -%}
        try_cast({{ value }} as timestamptz) at time zone 'UTC'
    {%- else -%}
        try_cast({{ value }} as {{ data_type }})
    {%- endif -%}
{%- endmacro %}
