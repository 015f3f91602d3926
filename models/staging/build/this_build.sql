{{ config(
    materialized='table',
    pre_hook='{{ stand_in_labels() }}',
    post_hook='{{ say_where_no_row_is() }}'
) }}

{#- The environment's instant is read by this file alone; --vars makes dbt parse the whole project again. -#}
{%- set given = var('as_of') or env_var('INSIGHTERA_AS_OF', '') -%}
{#- Catching up goes on with a build that ended: it sees what that one saw, raw rows that came since or not. -#}
{%- set refused = refused_use_cases() -%}

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
        {% if refused -%}
        (select former.as_of from {{ this }} as former)
        {%- elif given -%}
        {{ instant(given) }}
        {%- else -%}
        coalesce(newest.loaded_at + interval '1 microsecond', {{ build_started_at() }})
        {%- endif %} as as_of,
        {% if refused -%}
        (select former.is_as_of_given from {{ this }} as former)
        {%- else -%}
        {{ 'true' if given else 'false' }}
        {%- endif %} as is_as_of_given,
        '{{ invocation_id }}' as run_id,
        {{ text_literal(use_cases_as_json()) }} as use_cases,
        {{ text_literal(tojson(var('protected_attributes'))) }} as protected,
        {{ text_literal(tojson(dict(labelled_columns('features_'), **labelled_columns('label_')))) }} as column_labels,
        {{ text_literal(tojson(refused)) }} as refused
    from newest
)

select * from final
