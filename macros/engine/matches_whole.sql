{% macro matches_whole(value, pattern) -%}
    {#- Condition: the whole of a text is as a pattern says, to its last character.
        Arguments: value (a SQL expression), pattern (a regular expression, without anchors).
        Variants differ because Spark looks for the pattern anywhere, and its `$` overlooks a line's end. -#}
    {{ return(adapter.dispatch('matches_whole')(value, pattern)) }}
{%- endmacro %}

{% macro duckdb__matches_whole(value, pattern) -%}
    regexp_full_match({{ value }}, {{ text_literal(pattern) }})
{%- endmacro %}

{% macro spark__matches_whole(value, pattern) -%}
    {{ value }} rlike {{ text_literal('^(?:' ~ pattern ~ ')\\z') }}
{%- endmacro %}
