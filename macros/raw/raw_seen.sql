{% macro raw_seen(source_name, table_name) -%}
    {#- `recorded_at` and `loaded_at` of every row of a raw table, read as the contract reads them; nothing else of it.
        Arguments: source_name, table_name.
        Use: `select max(seen.loaded_at) from ({{ raw_seen('siakad', 'nilai') }}) as seen`. -#}
    {%- set types = raw_types(raw(source_name, table_name)) -%}
    select
        {{ try_cast_raw('untyped.raw_recorded_at', 'timestamp', types.get('recorded_at', 'VARCHAR')) }} as recorded_at,
        {{ raw_loaded_at('untyped', types) }} as loaded_at
    from (
        select
            {{ raw_text('raw_rows.loaded_at', types.loaded_at) if 'loaded_at' in types else 'null' }}
                as raw_loaded_at,
            {{ raw_text('raw_rows.recorded_at', types.get('recorded_at', 'VARCHAR')) }} as raw_recorded_at
        from {{ raw(source_name, table_name) }} as raw_rows
    ) as untyped
{%- endmacro %}
