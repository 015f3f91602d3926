{{ config(materialized='table') }}

with
loaded as (
    {%- for source_name, table_name in raw_tables() %}
    {%- set types = raw_types(raw(source_name, table_name)) %}
    select max(times.loaded_at) as loaded_at
    from (
        select {{ raw_loaded_at('untyped', types) }} as loaded_at
        from (
            select
                {{ raw_text('raw_rows.loaded_at', types.loaded_at) if 'loaded_at' in types else 'null' }}
                    as raw_loaded_at,
                {{ raw_text('raw_rows.recorded_at', types.get('recorded_at', 'VARCHAR')) }} as raw_recorded_at
            from {{ raw(source_name, table_name) }} as raw_rows
        ) as untyped
    ) as times
    -- a row from the future is refused; it must not drag the build along
    where times.loaded_at <= {{ build_started_at() }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

newest as (
    select max(loaded.loaded_at) as loaded_at
    from loaded
),

final as (
    select
        {% if var('as_of') -%}
        cast('{{ var('as_of') }}' as timestamp)
        {%- else -%}
        newest.loaded_at + interval '1 microsecond'
        {%- endif %} as as_of,
        '{{ invocation_id }}' as run_id,
        '{{ use_cases_as_json() }}' as use_cases,
        '{{ tojson(var('protected_attributes')) }}' as protected
    from newest
)

select * from final
