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
    select max(times.loaded_at) as loaded_at
    from (
        select
            {{ try_cast_raw(raw_text(
                'coalesce(raw_rows.loaded_at, raw_rows.recorded_at)'
                if has_column(raw(source_name, table_name), 'loaded_at') else 'raw_rows.recorded_at'
            ), 'timestamp') }} as loaded_at
        from {{ raw(source_name, table_name) }} as raw_rows
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
