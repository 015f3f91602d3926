{% macro raw_text(value, type='VARCHAR') -%}
    {#- A raw value, NULL where it is empty: text, and bytes that are text, in plain form (`plain_text`), so that CSV and
        Parquet read alike; any other type is left as it is, which spares millions of rows a detour through text.
        Arguments: value (a SQL expression), type (of the raw column). -#}
    {%- set kind = raw_kind(type) -%}
    {%- if kind == 'bytes' -%}
        {{ plain_text(text_of_bytes(value)) }}
    {%- elif kind == 'text' and type | upper in ('UUID', 'JSON') or type.startswith('ENUM') -%}
        {{ plain_text('cast(' ~ value ~ ' as varchar)') }}
    {%- elif kind == 'text' -%}
        {{ plain_text(value) }}
    {%- else -%}
        {{ value }}
    {%- endif -%}
{%- endmacro %}
