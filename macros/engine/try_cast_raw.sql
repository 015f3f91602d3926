{% macro try_cast_raw(text, data_type) -%}
    {#- The value that a raw text says, NULL where it says none of that type. Never rounds.
        Arguments: text (a SQL expression), data_type (varchar, integer, double, boolean, date, timestamp).
        Timestamps come out in UTC; one without an offset is UTC already.
        Variants differ in how an engine spells a cast that may fail. -#}
    {{ return(adapter.dispatch('try_cast_raw')(text, data_type)) }}
{%- endmacro %}

{% macro duckdb__try_cast_raw(text, data_type) -%}
    {%- if data_type == 'varchar' -%}
        {{ text }}
    {%- elif data_type == 'integer' -%}
        case
            when try_cast({{ text }} as double) = floor(try_cast({{ text }} as double))
                then try_cast({{ text }} as integer)
        end
    {%- elif data_type == 'timestamp' -%}
        try_cast({{ text }} as timestamptz) at time zone 'UTC'
    {%- else -%}
        try_cast({{ text }} as {{ data_type }})
    {%- endif -%}
{%- endmacro %}
