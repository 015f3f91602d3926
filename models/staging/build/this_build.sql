{{ config(materialized='table', post_hook='{{ say_where_no_row_is() }}') }}

{#- The environment's instant is read by this file alone; --vars makes dbt parse the whole project again. -#}
{%- set given = var('as_of') or env_var('INSIGHTERA_AS_OF', '') -%}

with
loaded as (
    {%- for source_name, table_name in raw_tables() %}
    select max(times.loaded_at) as loaded_at
    from ({{ raw_seen(source_name, table_name) }}) as times
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
        {% if given -%}
        {{ instant(given) }}
        {%- else -%}
        coalesce(newest.loaded_at + interval '1 microsecond', {{ build_started_at() }})
        {%- endif %} as as_of,
        {{ 'true' if given else 'false' }} as is_as_of_given,
        '{{ invocation_id }}' as run_id,
        {{ text_literal(use_cases_as_json()) }} as use_cases,
        {{ text_literal(tojson(var('protected_attributes'))) }} as protected,
        {{ text_literal(tojson(dict(labelled_columns('features_'), **labelled_columns('label_')))) }} as column_labels
    from newest
)

select * from final
