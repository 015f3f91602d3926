{%- set built, shown = monitored_use_cases(), use_cases_on_dashboards() -%}
{%- set intended = intended_use_cases() -%}
{%- set names = intended | map('first') | list -%}
with
versions as (
    select * from {{ ref('trained_versions') }}
),

history as (
    select * from {{ ref('monitor_prediction_history') }}
),

drift as (
    select * from {{ ref('monitor_drift') }}
),

decisions as (
    {%- for name in built %}
    select
        train_{{ name }}.use_case,
        train_{{ name }}.decision
    from {{ ref('train_' ~ name) }} as train_{{ name }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

use_cases as (
    {%- for name, group, title, judul in intended %}
    select
        {{ loop.index }} as use_case_number,
        '{{ name }}' as use_case,
        '{{ group }}' as use_case_group,
        '{{ title }}' as title,
        '{{ judul }}' as title_id,
        true as is_intended,
        {{ 'true' if name in built else 'false' }} as has_label,
        {{ 'true' if name in shown else 'false' }} as is_on_dashboard
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {%- for name in built if name not in names %}
    union all
    select
        {{ names | length + loop.index }},
        '{{ name }}',
        'Own',
        '{{ name | replace('_', ' ') | capitalize }}',
        '{{ name | replace('_', ' ') | capitalize }}',
        false,
        true,
        {{ 'true' if name in shown else 'false' }}
    {%- endfor %}
),

champions as (
    select
        versions.use_case,
        max(case when versions.role like '%champion%' then versions.model_version end) as champion_version,
        max(case when versions.role like '%champion%' then versions.features end) as feature_count
    from versions
    group by versions.use_case
),

published as (
    select
        history.use_case,
        count(*) as row_count
    from history
    group by history.use_case
),

watched as (
    select
        drift.use_case,
        count(*) as column_count
    from drift
    group by drift.use_case
),

final as (
    select
        use_cases.use_case,
        cast(use_cases.use_case_number as integer) as use_case_number,
        use_cases.use_case_group,
        use_cases.title,
        use_cases.title_id,
        use_cases.is_intended,
        use_cases.has_label,
        cast(champions.feature_count as bigint) as feature_count,
        champions.champion_version,
        case
            when not use_cases.has_label then 'there is no label yet'
            when champions.champion_version is null then decisions.decision
        end as why_no_champion,
        coalesce(published.row_count, 0) as published_rows,
        watched.column_count is not null as is_monitored,
        use_cases.is_on_dashboard,
        {{ as_of() }} as as_of
    from use_cases
    left join decisions on use_cases.use_case = decisions.use_case
    left join champions on use_cases.use_case = champions.use_case
    left join published on use_cases.use_case = published.use_case
    left join watched on use_cases.use_case = watched.use_case
)

select * from final
