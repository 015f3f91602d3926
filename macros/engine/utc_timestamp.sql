{% macro utc_timestamp(value) -%}
    {#- The instant that a text of the contract's form says, as a timestamp in UTC; NULL where no calendar or clock has
        it. Without an offset it is UTC already.
        Arguments: value (a SQL expression, text that `raw_pattern('timestamp')` matches).
        Both engines want seconds where there is an offset; variants differ in the name of an instant's type. -#}
    {{ return(adapter.dispatch('utc_timestamp')(value)) }}
{%- endmacro %}

{% macro duckdb__utc_timestamp(value) -%}
    coalesce(
        try_cast({{ value }} as timestamptz),
        try_cast(regexp_replace({{ value }}, '^(.{16})([Z+-].*)$', '\1:00\2') as timestamptz)
    ) at time zone 'UTC'
{%- endmacro %}

{% macro spark__utc_timestamp(value) -%}
    cast(
        coalesce(
            try_cast({{ value }} as timestamp_ltz),
            try_cast(regexp_replace({{ value }}, '^(.{16})([Z+-].*)', '$1:00$2') as timestamp_ltz)
        ) as timestamp
    )
{%- endmacro %}
