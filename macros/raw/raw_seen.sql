{% macro raw_seen(source_name, table_name) -%}
    {#- `recorded_at` and `loaded_at` of every row of a raw table, read as the contract reads them; nothing else of it.
        Arguments: source_name, table_name.
        Use: `select max(seen.loaded_at) from ({{ raw_seen('siakad', 'nilai') }}) as seen`. -#}
    {%- set types = raw_types(raw(source_name, table_name)) -%}
    {%- set recorded_type = types.get('recorded_at', 'VARCHAR') -%}
    {%- set texts = {
        'raw_recorded_at': raw_text('came.recorded_at', recorded_type),
        'raw_loaded_at': raw_text('came.loaded_at', types.loaded_at) if 'loaded_at' in types else 'null',
    } -%}
    {%- set values = {
        'recorded_at': try_cast_raw('untyped.raw_recorded_at', 'timestamp', recorded_type),
        'loaded_at': raw_loaded_at('untyped', types),
    } -%}
    with
    came as (
        select
            {{ 'source_rows.loaded_at,' if 'loaded_at' in types }}
            source_rows.recorded_at
        from {{ raw(source_name, table_name) }} as source_rows
    ),

    untyped as (
        {{ computed_once('came', texts, keeps_rows=false) }}
    ),

    typed as (
        {{ computed_once('untyped', values, keeps_rows=false) }}
    )

    select * from typed
{%- endmacro %}
