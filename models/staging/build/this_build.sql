{{ config(materialized='table') }}

{%- set use_cases = {} -%}
{%- if execute -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.meta.get('use_case') -%}
        {%- do use_cases.update({node.name | replace('label_', '', 1): node.config.meta.use_case}) -%}
    {%- endfor -%}
{%- endif %}

with
loaded as (
    {%- for source_name, table_name in raw_tables() %}
    {%- set types = raw_types(raw(source_name, table_name)) %}
    select max(times.loaded_at) as loaded_at
    from (
        select {{ raw_loaded_at('untyped', types) }} as loaded_at
        from (
            select
                {%- if 'loaded_at' in types %}
                {{ raw_text('raw_rows.loaded_at', types.loaded_at) }} as raw_loaded_at,
                {%- endif %}
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
        '{{ tojson(use_cases) | replace("'", "''") }}' as use_cases,
        '{{ tojson(var('protected_attributes')) }}' as protected
    from newest
)

select * from final
