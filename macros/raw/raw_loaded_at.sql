{% macro raw_loaded_at(rows, types) -%}
    {#- When a raw row reached the lake, as a timestamp: `recorded_at` where it does not say.
        Arguments: rows (alias of rows with `raw_loaded_at` and `raw_recorded_at`), types (of `raw_types`).
        Use: `{{ raw_loaded_at('untyped', types) }} as loaded_at`. -#}
    {%- set recorded_at = try_cast_raw(rows ~ '.raw_recorded_at', 'timestamp', types.get('recorded_at', 'VARCHAR')) -%}
    {%- if 'loaded_at' in types -%}
        case
            when {{ rows }}.raw_loaded_at is null then {{ recorded_at }}
            else {{ try_cast_raw(rows ~ '.raw_loaded_at', 'timestamp', types.loaded_at) }}
        end
    {%- else -%}
        {{ recorded_at }}
    {%- endif -%}
{%- endmacro %}
