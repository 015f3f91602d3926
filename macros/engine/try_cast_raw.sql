{% macro try_cast_raw(value, data_type, type='VARCHAR') -%}
    {#- The value that a raw column says, NULL where it says none of that type: exactly what docs/raw-contract.md allows, on
        both engines. Never rounds. A column that has a type passes the same checks as text: no infinite instant, no NaN,
        no time of day where a date is wanted.
        Arguments: value (a SQL expression, as `raw_text` gives it), data_type (varchar, integer, double, boolean, date,
        timestamp: what the contract wants), type (what the raw column is).
        Timestamps come out in UTC; one without an offset is UTC already.
        Example, of text that is to be an integer:
            case
                when regexp_full_match(value, '-?[0-9]+(\.0+)?')
                    then try_cast(try_cast(value as double) as integer)
            end -#}
    {%- set kind = raw_kind(type) -%}
    {%- set is_number = kind in ('float', 'double', 'decimal') -%}
    {%- if kind == 'bytes' -%} {%- set kind = 'text' -%} {%- endif -%}
    {%- if kind == 'text' -%}
        {%- if data_type == 'varchar' and raw_kind(type) == 'bytes' -%}
            case when {{ value }} <> '{{ '\ufffd' }}' then {{ value }} end
        {%- elif data_type == 'varchar' -%}
            {{ value }}
        {%- elif data_type == 'boolean' -%}
            case lower({{ value }}) when 'true' then true when 'false' then false end
        {%- else -%}
            case
                when {{ matches_whole(value, raw_pattern(data_type)) }}
                    {%- if data_type == 'integer' %}
                    then try_cast(try_cast({{ value }} as double) as integer)
                    {%- elif data_type == 'double' %}
                    and abs(try_cast({{ value }} as double)) <= {{ largest_double() }}
                    then try_cast({{ value }} as double)
                    {%- elif data_type == 'date' %}
                    then try_cast({{ value }} as date)
                    {%- else %}
                    then {{ utc_timestamp(value) }}
                    {%- endif %}
            end
        {%- endif -%}
    {%- elif kind == 'other' -%}
        {{ cast_null(data_type) }}
    {%- elif data_type == 'varchar' -%}
        {%- if is_number -%}
            case
                {%- if kind == 'decimal' %}
                when {{ value }} = floor({{ value }})
                    then cast(cast({{ value }} as decimal(38, 0)) as {{ dbt.type_string() }})
                else cast({{ value }} as {{ dbt.type_string() }})
                {%- else %}
                {#- Beyond, a float holds no longer every whole number: two ids would be one. #}
                when abs({{ value }}) <= {{ 16777216 if kind == 'float' else 9007199254740992 }}
                    and {{ value }} = floor({{ value }})
                    then cast(cast({{ value }} as bigint) as {{ dbt.type_string() }})
                {#- Within these bounds both engines write it without an exponent. #}
                when abs({{ value }}) >= 0.001 and abs({{ value }}) < 10000000
                    then cast({{ value }} as {{ dbt.type_string() }})
                {%- endif %}
            end
        {%- else -%}
            cast({{ value }} as {{ dbt.type_string() }})
        {%- endif -%}
    {%- elif data_type == 'integer' -%}
        {%- if type | upper in ('INTEGER', 'INT') -%}
            {{ value }}
        {%- elif kind == 'integer' -%}
            try_cast({{ value }} as integer)
        {%- elif is_number -%}
            case when {{ value }} = floor({{ value }}) then try_cast({{ value }} as integer) end
        {%- else -%}
            {{ cast_null(data_type) }}
        {%- endif -%}
    {%- elif data_type == 'double' -%}
        {%- if kind in ('float', 'double') -%}
            case when abs({{ value }}) <= {{ largest_double() }} then cast({{ value }} as double) end
        {%- elif kind in ('integer', 'decimal') -%}
            cast({{ value }} as double)
        {%- else -%}
            {{ cast_null(data_type) }}
        {%- endif -%}
    {%- elif data_type == 'boolean' -%}
        {{ value if kind == 'boolean' else cast_null(data_type) }}
    {%- elif kind in ('date', 'timestamp', 'instant') -%}
        {%- set held = value if kind == 'date' else typed_timestamp(value, type) -%}
        {%- set is_in_calendar -%}
            {%- if kind == 'date' -%}
                {{ held }} between date '1000-01-01' and date '9999-12-31'
            {%- else -%}
                {{ held }} between timestamp '1000-01-01 00:00:00' and timestamp '9999-12-31 23:59:59.999999'
            {%- endif -%}
        {%- endset -%}
        case
            when {{ is_in_calendar }}
                {%- if kind != 'date' and data_type == 'date' %}
                and {{ held }} = cast(cast({{ held }} as date) as timestamp)
                {%- endif %}
                then {{ held if (kind == 'date') == (data_type == 'date') else 'cast(' ~ held ~ ' as ' ~ data_type ~ ')' }}
        end
    {%- else -%}
        {{ cast_null(data_type) }}
    {%- endif -%}
{%- endmacro %}

{% macro typed_timestamp(value, type) -%}
    {#- A raw timestamp of any unit, with or without a zone, as the contract's: microseconds, UTC.
        Arguments: value (a SQL expression), type (as the engine spells it).
        Variants differ because DuckDB's `timestamp` is the contract's own and Spark's has the session's zone, UTC. -#}
    {{ return(adapter.dispatch('typed_timestamp')(value, type)) }}
{%- endmacro %}

{% macro duckdb__typed_timestamp(value, type) -%}
    {%- if type | upper == 'TIMESTAMP' -%}
        {{ value }}
    {%- elif raw_kind(type) == 'instant' -%}
        ({{ value }} at time zone 'UTC')
    {%- else -%}
        try_cast({{ value }} as timestamp)
    {%- endif -%}
{%- endmacro %}

{% macro spark__typed_timestamp(value, type) -%}
    {{ value if type | upper == 'TIMESTAMP_NTZ' else 'cast(' ~ value ~ ' as timestamp)' }}
{%- endmacro %}

{% macro largest_double() -%}
    {#- The largest finite double: what is neither infinite nor NaN is not above it, on either engine. -#}
    1.7976931348623157e308
{%- endmacro %}

{% macro cast_null(data_type) -%}
    {#- NULL of one of the contract's types.
        Arguments: data_type (varchar, integer, double, boolean, date, timestamp). -#}
    cast(null as {{ dbt.type_string() if data_type == 'varchar' else data_type }})
{%- endmacro %}
