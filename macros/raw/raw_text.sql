{% macro raw_text(value) -%}
    {#- A raw value as trimmed text, NULL where it is empty: CSV and Parquet then read alike.
        Arguments: value (a SQL expression). -#}
    nullif(trim(cast({{ value }} as {{ dbt.type_string() }})), '')
{%- endmacro %}
