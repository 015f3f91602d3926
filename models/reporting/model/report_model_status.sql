with
receipts as (
    select * from {{ ref('published_receipts') }}
),

versions as (
    select * from {{ ref('trained_versions') }}
),

performance as (
    select * from {{ ref('monitor_performance') }}
),

history as (
    select * from {{ ref('monitor_prediction_history') }}
),

drift as (
    select * from {{ ref('monitor_drift') }}
),

freshness as (
    select * from {{ ref('monitor_freshness') }}
),

quarantine as (
    select * from {{ ref('quarantine') }}
),

champions as (
    select
        count(*) as champion_count,
        max(versions.model_version) as model_version,
        max(versions.roc_auc) as roc_auc,
        max(versions.trained_as_of) as trained_as_of
    from versions
    where
        versions.use_case = 'student_dropout'
        and versions.role = 'champion'
),

publications as (
    select
        count(*) as publication_count,
        max(receipts.published_at) as published_at
    from receipts
),

outcomes as (
    select
        count(distinct performance.week_start) as week_count,
        100 * sum(performance.mean_probability * performance.row_count) / sum(performance.row_count)
            as predicted_percent,
        100.0 * sum(performance.positives) / sum(performance.row_count) as observed_percent
    from performance
),

predictions as (
    select min(history.prediction_timestamp) as first_at
    from history
),

drifted as (
    select
        count(*) as watched_count,
        count(case when drift.is_drifted then 1 end) as drifted_count
    from drift
),

stale as (
    select
        count(*) as watched_count,
        count(case when freshness.is_stale then 1 end) as stale_count,
        min(case when freshness.is_stale then freshness.table_name end) as first_stale
    from freshness
),

refused as (
    select count(*) as row_count
    from quarantine
),

answers as (
    select
        1 as question_number,
        'Which model predicts?' as question,
        case
            when champions.champion_count = 0 then 'None yet: too few labels have matured'
            else
                'Version ' || champions.model_version || ', trained as of '
                || cast(cast(champions.trained_as_of as date) as string) || ', ROC AUC '
                || coalesce({{ rounded_text('champions.roc_auc', 2) }}, 'unknown')
                || ' (0.5 is chance, 1 is perfect)'
        end as answer,
        champions.champion_count > 0 as is_fine
    from champions
    union all
    select
        2 as question_number,
        'When was it last published?' as question,
        case
            when publications.publication_count = 0 then 'Never: no build has passed its audit yet'
            else
                cast(cast(publications.published_at as date) as string) || ', publication '
                || cast(publications.publication_count as string)
        end as answer,
        publications.publication_count > 0 as is_fine
    from publications
    union all
    select
        3 as question_number,
        'Did the predictions come true?' as question,
        case
            when outcomes.week_count > 0
                then
                    'On average ' || {{ rounded_text('outcomes.predicted_percent', 1) }}
                    || ' % was predicted, ' || {{ rounded_text('outcomes.observed_percent', 1) }}
                    || ' % came (' || cast(outcomes.week_count as string) || ' weeks)'
            when predictions.first_at is null then 'Not known: nothing is predicted yet'
            else
                'Not known yet: the first predictions are of '
                || cast(cast(predictions.first_at as date) as string)
                || ', and their outcomes take {{ var("dropout_horizon_days") }} days'
        end as answer,
        true as is_fine
    from outcomes
    cross join predictions
    union all
    select
        4 as question_number,
        'Has what the model sees changed?' as question,
        case
            when drifted.watched_count = 0 then 'Not known: there is no champion to compare with'
            else
                cast(drifted.drifted_count as string) || ' of ' || cast(drifted.watched_count as string)
                || ' columns have drifted since it was trained'
        end as answer,
        drifted.drifted_count = 0 as is_fine
    from drifted
    union all
    select
        5 as question_number,
        'Is the data fresh?' as question,
        case
            when stale.stale_count = 0 then 'All ' || cast(stale.watched_count as string) || ' tables are'
            else
                cast(stale.stale_count as string) || ' of ' || cast(stale.watched_count as string)
                || ' are stale, ' || stale.first_stale || ' among them'
        end as answer,
        stale.stale_count = 0 as is_fine
    from stale
    union all
    select
        6 as question_number,
        'Were rows refused?' as question,
        case
            when refused.row_count = 0 then 'None: every row of the extracts keeps the raw contract'
            else cast(refused.row_count as string) || ' rows are in quarantine'
        end as answer,
        refused.row_count = 0 as is_fine
    from refused
),

final as (
    select
        answers.question_number,
        answers.question,
        answers.answer,
        case when answers.is_fine then 'fine' else 'look at it' end as verdict
    from answers
)

select * from final
