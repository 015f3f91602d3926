{% macro feature_audit_columns() -%}
    {#- The columns that `feature_table` gives every feature table, after its entity keys and features: when a version
        holds, what it was computed from, and since when and until when it was believed. -#}
    {{ return([
        'valid_from', 'valid_to', 'is_current', 'feature_timestamp', 'feature_hash', 'system_from', 'system_to'
    ]) }}
{%- endmacro %}
