with
receipts as (
    select * from {{ ref('published_receipts') }}
),

versions as (
    select * from {{ ref('trained_versions') }}
),

performance as (
    select * from {{ ref('report_performance') }}
),

history as (
    select * from {{ ref('monitor_prediction_history') }}
),

drift as (
    select * from {{ ref('monitor_drift') }}
),

freshness as (
    select * from {{ ref('report_freshness') }}
),

quarantine as (
    select * from {{ ref('report_quarantine') }}
),

use_cases as (
    {%- for name in monitored_use_cases() %}
    select
        '{{ name }}' as use_case,
        {%- set failed = refused_use_cases().get(name, []) %}
        {{ text_literal(failed | join(', ')) if failed else 'cast(null as string)' }} as failed_models,
        {{ use_case_meta(name).get('horizon_days', 'null') }} as horizon_days,
        {{ 'true' if task_columns(use_case_meta(name).get('task')).label else 'false' }} as has_outcome
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

champions as (
    select
        use_cases.use_case,
        count(versions.model_version) as champion_count,
        max(versions.model_version) as model_version,
        max(versions.metric) as metric,
        max(versions.score) as score,
        max(versions.baseline_score) as baseline_score,
        max(versions.caution) as caution,
        max(versions.trained_as_of) as trained_as_of
    from use_cases
    left join versions on use_cases.use_case = versions.use_case and versions.role = 'champion'
    group by use_cases.use_case
),

publications as (
    select
        use_cases.use_case,
        max(use_cases.failed_models) as failed_models,
        count(receipts.snapshot_id) as publication_count,
        max(receipts.published_at) as published_at
    from use_cases
    left join receipts on use_cases.use_case = receipts.model_name
    group by use_cases.use_case
),

outcomes as (
    select
        use_cases.use_case,
        count(distinct performance.week_start) as week_count,
        sum(performance.predicted_percent * performance.row_count) / sum(performance.row_count) as predicted_percent,
        sum(performance.observed_percent * performance.row_count) / sum(performance.row_count) as observed_percent,
        sum(performance.mae * performance.row_count) / sum(performance.row_count) as mae,
        100 * sum(performance.coverage * performance.row_count) / sum(performance.row_count) as coverage_percent
    from use_cases
    left join performance on use_cases.use_case = performance.use_case
    group by use_cases.use_case
),

predictions as (
    select
        use_cases.use_case,
        max(use_cases.horizon_days) as horizon_days,
        max(case when use_cases.has_outcome then 1 else 0 end) as has_outcome,
        min(history.prediction_timestamp) as first_at
    from use_cases
    left join history on use_cases.use_case = history.use_case
    group by use_cases.use_case
),

drifted as (
    select
        use_cases.use_case,
        count(drift.feature_name) as watched_count,
        count(case when drift.is_drifted then 1 end) as drifted_count,
        count(case when drift.state = 'season' then 1 end) as season_count,
        count(
            case
                when
                    drift.is_drifted
                    and abs(drift.current_null_share - drift.reference_null_share)
                    >= {{ var('drift_missing_limit') }}
                    then 1
            end
        ) as missing_count
    from use_cases
    left join drift on use_cases.use_case = drift.use_case
    group by use_cases.use_case
),

stale as (
    select
        use_cases.use_case,
        count(case when freshness.verdict not in ('empty', 'too little history') then 1 end) as watched_count,
        count(case when freshness.verdict in ('stale', 'late') then 1 end) as old_count,
        min(case when freshness.verdict in ('stale', 'late') then freshness.table_name end) as first_old,
        count(case when freshness.verdict = 'late, as every year at this time' then 1 end) as season_count,
        count(case when freshness.clock_verdict = 'history' then 1 end) as history_count,
        count(case when freshness.clock_verdict in ('stale', 'late') then 1 end) as clock_old_count,
        min(case when freshness.clock_verdict in ('stale', 'late') then freshness.clock_age_days end) as clock_age_days
    from use_cases
    left join freshness on use_cases.use_case = freshness.use_case
    group by use_cases.use_case
),

refused as (
    select
        use_cases.use_case,
        coalesce(sum(quarantine.row_count), 0) as row_count
    from use_cases
    left join quarantine on use_cases.use_case = quarantine.use_case and quarantine.is_read
    group by use_cases.use_case
),

answers as (
    select
        champions.use_case,
        1 as question_number,
        'Which model predicts?' as question,
        case
            when champions.champion_count = 0 then 'None yet: too few labels have matured'
            else
                'Version ' || champions.model_version || ', trained as of '
                || cast(cast(champions.trained_as_of as date) as string) || ', '
                || coalesce(champions.metric || ' ' || {{ rounded_text('champions.score', 2) }}, 'measure unknown')
                || coalesce(', its best baseline ' || {{ rounded_text('champions.baseline_score', 2) }}, '')
        end as answer,
        champions.champion_count > 0 as is_fine,
        false as is_season
    from champions
    union all
    select
        publications.use_case,
        2 as question_number,
        'When was it last published?' as question,
        case
            when publications.publication_count = 0 then 'Never: no build has passed its audit yet'
            else
                cast(cast(publications.published_at as date) as string) || ', publication '
                || cast(publications.publication_count as string)
        end || coalesce('; in this build ' || publications.failed_models || ' failed', '') as answer,
        publications.publication_count > 0 and publications.failed_models is null as is_fine,
        false as is_season
    from publications
    union all
    select
        outcomes.use_case,
        3 as question_number,
        'Did the predictions come true?' as question,
        case
            when outcomes.week_count > 0 and outcomes.mae is not null
                then
                    'On average they were ' || {{ rounded_text('outcomes.mae', 1) }} || ' off; '
                    || {{ rounded_text('outcomes.coverage_percent', 0) }} || ' % lay within the interval ('
                    || cast(outcomes.week_count as string) || ' cutoffs)'
            when outcomes.week_count > 0
                then
                    'On average ' || {{ rounded_text('outcomes.predicted_percent', 1) }}
                    || ' % was predicted, ' || {{ rounded_text('outcomes.observed_percent', 1) }}
                    || ' % came (' || cast(outcomes.week_count as string) || ' weeks)'
            when predictions.first_at is null then 'Not known: nothing is predicted yet'
            when predictions.has_outcome = 0 then 'It has no outcome: people say what was found, by reviews'
            else
                'Not known yet: the first predictions are of '
                || cast(cast(predictions.first_at as date) as string)
                || ', and their outcomes take ' || cast(predictions.horizon_days as string) || ' days'
        end as answer,
        true as is_fine,
        false as is_season
    from outcomes
    inner join predictions on outcomes.use_case = predictions.use_case
    union all
    select
        drifted.use_case,
        4 as question_number,
        'Has what the model sees changed?' as question,
        case
            when drifted.watched_count = 0 then 'Not known: there is no champion to compare with'
            else
                cast(drifted.drifted_count as string) || ' of ' || cast(drifted.watched_count as string)
                || ' columns have drifted since it was trained'
                || case
                    when drifted.missing_count > 0
                        then
                            '; in ' || cast(drifted.missing_count as string)
                            || ' of them, how many are missing has changed'
                    else ''
                end
                || case
                    when drifted.season_count > 0
                        then
                            '; ' || cast(drifted.season_count as string)
                            || ' differ from training as every year at this time'
                    else ''
                end
        end as answer,
        drifted.drifted_count = 0 as is_fine,
        drifted.season_count > 0 as is_season
    from drifted
    union all
    select
        stale.use_case,
        5 as question_number,
        'Is the data fresh?' as question,
        case
            when stale.watched_count = 0 then 'Not known: no table has a limit, or news often enough'
            else
                'When it was built, '
                || case
                    when stale.old_count > 0
                        then
                            cast(stale.old_count as string) || ' of ' || cast(stale.watched_count as string)
                            || ' tables are stale or late, ' || stale.first_old || ' among them'
                    else 'none of ' || cast(stale.watched_count as string) || ' tables is older than usual'
                end
                || case
                    when stale.season_count > 0
                        then '; ' || cast(stale.season_count as string) || ' late, as every year at this time'
                    else ''
                end
                || case
                    when stale.history_count > 0 then ''
                    when stale.clock_old_count > 0
                        then
                            '; by the clock ' || cast(stale.clock_old_count as string)
                            || ' are stale or late, the newest row of ' || cast(stale.clock_age_days as string)
                            || ' days ago'
                    else '; by the clock none'
                end
        end as answer,
        stale.old_count + stale.clock_old_count = 0 as is_fine,
        stale.season_count > 0 as is_season
    from stale
    union all
    select
        refused.use_case,
        6 as question_number,
        'Were rows refused?' as question,
        case
            when refused.row_count = 0 then 'None: every row of what it reads keeps the raw contract'
            else cast(refused.row_count as string) || ' rows of what it reads are in quarantine'
        end as answer,
        refused.row_count = 0 as is_fine,
        false as is_season
    from refused
    union all
    select
        champions.use_case,
        7 as question_number,
        'Does each risk category hold what it says?' as question,
        case
            when champions.champion_count = 0 then 'Not known: there is no champion'
            else coalesce(champions.caution, 'Yes, on the rows it was validated on')
        end as answer,
        champions.caution is null as is_fine,
        false as is_season
    from champions
),

final as (
    select
        answers.use_case,
        answers.question_number,
        answers.question,
        answers.answer,
        case
            when not answers.is_fine then 'look at it'
            when answers.is_season then 'season'
            else 'fine'
        end as verdict,
        {{ as_of() }} as as_of
    from answers
)

select * from final
