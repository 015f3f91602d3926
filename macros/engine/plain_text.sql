{% macro plain_text(value) -%}
    {#- A text in the one form in which texts are compared: without blanks at its ends, of whatever kind (tab, no-break
        space, zero-width space, byte order mark), and in Unicode's composed form; NULL where nothing is left. Printable
        ASCII, which nearly all of it is, is left as it is after one look.
        Arguments: value (a SQL expression).
        Variants differ in how an engine trims. -#}
    {{ return(adapter.dispatch('plain_text')(value)) }}
{%- endmacro %}

{% macro duckdb__plain_text(value) -%}
    case
        when {{ matches_whole(value, '[!-~]([ -~]*[!-~])?') }} then {{ value }}
        else {{ composed('nullif(trim(' ~ value ~ ", '" ~ blanks() ~ "'), '')") }}
    end
{%- endmacro %}

{% macro spark__plain_text(value) -%}
    case
        when {{ matches_whole(value, '[!-~]([ -~]*[!-~])?') }} then {{ value }}
        else {{ composed("nullif(trim(both '" ~ blanks() ~ "' from " ~ value ~ "), '')") }}
    end
{%- endmacro %}

{% macro blanks() -%}
    {#- The blanks that `plain_text` takes from the ends of a text: Unicode's white space, and its spaces of no width. -#}
    {{ return(
        '\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a'
        ~ '\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff'
    ) }}
{%- endmacro %}
