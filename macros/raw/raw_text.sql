{% macro raw_text(value, type='VARCHAR') -%}
    {#- A raw value, NULL where it is empty: text is trimmed, so that CSV and Parquet read alike; any other type
        is left as it is, which spares millions of rows a detour through text.
        Arguments: value (a SQL expression), type (of the raw column). -#}
    {%- if type in ('VARCHAR', 'STRING') or type.startswith('CHARACTER VARYING') -%}
        nullif(trim({{ value }}), '')
    {%- else -%}
        {{ value }}
    {%- endif -%}
{%- endmacro %}
