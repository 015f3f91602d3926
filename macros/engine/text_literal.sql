{% macro text_literal(text) -%}
    {#- A text as a SQL literal, quotes included, whatever stands in it.
        Arguments: text.
        Variants differ because Spark reads backslashes in a literal, and `''` as nothing. -#}
    {{ return(adapter.dispatch('text_literal')(text)) }}
{%- endmacro %}

{% macro duckdb__text_literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{% macro spark__text_literal(text) -%}
    '{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}
