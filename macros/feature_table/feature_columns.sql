{% macro feature_columns(settings, points) -%}
    {#- The feature columns of the computed points, as [{name, type}], in order. Errors where the model's SQL lacks a
        column that every feature table needs. -#}
    {%- set found = columns_of_query('select * from ' ~ points) -%}
    {%- set housekeeping = settings.entity_keys + ['valid_from', 'feature_timestamp', 'loaded_at'] -%}
    {%- for name in housekeeping if name not in (found | map(attribute='name') | list) -%}
        {%- do exceptions.raise_compiler_error(
            this.identifier ~ ': a feature model selects its entity keys, valid_from, its features, feature_timestamp '
            ~ 'and loaded_at; `' ~ name ~ '` is missing'
        ) -%}
    {%- endfor -%}
    {{ return(found | rejectattr('name', 'in', housekeeping) | list) }}
{%- endmacro %}
