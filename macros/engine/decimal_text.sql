{% macro decimal_text(value) -%}
    {#- A floating point number as text with nine decimals, the same on every engine. Every number has a text: from 1e29
        on with an exponent, and `nan`, `infinity`, `-infinity`.
        Arguments: value (a SQL expression, double).
        Variants differ because Spark writes small decimals with an exponent. -#}
    {{ return(adapter.dispatch('decimal_text')(value)) }}
{%- endmacro %}

{% macro duckdb__decimal_text(value) -%}
    coalesce(
        cast(try_cast({{ value }} as decimal(38, 9)) as varchar),
        case
            when isnan({{ value }}) then 'nan'
            when isinf({{ value }}) then if({{ value }} > 0, 'infinity', '-infinity')
            else printf('%.9e', cast({{ value }} as double))
        end
    )
{%- endmacro %}

{% macro spark__decimal_text(value) -%}
    coalesce(
        format_number(try_cast({{ value }} as decimal(38, 9)), '0.000000000'),
        case
            when {{ value }} is null then null
            when isnan({{ value }}) then 'nan'
            when abs({{ value }}) = double('infinity') then if({{ value }} > 0, 'infinity', '-infinity')
            else format_string('%.9e', cast({{ value }} as double))
        end
    )
{%- endmacro %}
