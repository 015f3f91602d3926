{% macro text_of_bytes(value) -%}
    {#- Bytes as the UTF-8 text that they are; where they are none, U+FFFD alone.
        Arguments: value (a SQL expression, of a binary type).
        Variants differ because Spark decodes whatever it is given. -#}
    {{ return(adapter.dispatch('text_of_bytes')(value)) }}
{%- endmacro %}

{% macro duckdb__text_of_bytes(value) -%}
    case when {{ value }} is not null then coalesce(try(decode({{ value }})), '{{ '\ufffd' }}') end
{%- endmacro %}

{% macro spark__text_of_bytes(value) -%}
    case
        when {{ value }} is null then null
        when encode(decode({{ value }}, 'UTF-8'), 'UTF-8') = {{ value }} then decode({{ value }}, 'UTF-8')
        else '{{ '\ufffd' }}'
    end
{%- endmacro %}
