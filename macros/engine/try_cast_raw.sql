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

{% macro spark__try_cast_raw(value, data_type, type) -%}
    {#- Spark also takes '2024' for a date, '10:30' for a timestamp and '1d' for a number: the patterns do not. -#}
    {%- set held = contract_type(type) -%}
    {%- if held == data_type | upper -%}
        {{ value }}
    {%- elif data_type == 'varchar' -%}
        cast({{ value }} as string)
    {%- elif data_type == 'integer' -%}
        case
            when {{ spark_number(value, held) }} = floor({{ spark_number(value, held) }})
                then try_cast({{ spark_number(value, held) }} as integer)
        end
    {%- elif data_type == 'double' -%}
        {{ spark_number(value, held) }}
    {%- elif data_type in ('timestamp', 'date') and held == 'VARCHAR' -%}
        case
            when {{ value }} rlike '^[0-9]{4,6}-[0-9]{1,2}-[0-9]{1,2}'
                {%- if data_type == 'date' %}
                then try_cast({{ value }} as date)
                {%- else %}
                then cast(try_cast({{ value }} as timestamp_ltz) as timestamp)
                {%- endif %}
        end
    {%- else -%}
        try_cast({{ value }} as {{ data_type }})
    {%- endif -%}
{%- endmacro %}

{% macro spark_number(value, type) -%}
    {#- A raw value as a double, for `try_cast_raw` on Spark.
        Arguments: value (a SQL expression), type (of the contract's words). -#}
    {%- if type == 'VARCHAR' -%}
        case when {{ value }} rlike '[0-9nNfF]$' and not {{ value }} rlike '[0-9][fF]$' then try_cast({{ value }} as double) end
    {%- else -%}
        try_cast({{ value }} as double)
    {%- endif -%}
{%- endmacro %}
