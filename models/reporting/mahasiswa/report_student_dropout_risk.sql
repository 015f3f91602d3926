with
risks as (
    select * from {{ ref('published_student_dropout_risk') }}
),

history as (
    select * from {{ ref('monitor_prediction_history') }}
),

mahasiswa as (
    select * from {{ ref('dim_mahasiswa_current') }}
),

factors as (
    select * from {{ ref('report_dropout_risk_factors') }}
),

old_enough as (
    select
        history.entity_key as nim,
        history.score as risk_score,
        row_number() over (
            partition by history.entity_key
            order by history.prediction_timestamp desc
        ) as age_rank
    from history
    where
        history.use_case = 'student_dropout'
        and history.prediction_timestamp <= {{ as_of() }} - interval '7' day
),

week_ago as (
    select
        old_enough.nim,
        old_enough.risk_score
    from old_enough
    where old_enough.age_rank = 1
),

comparison as (
    select count(*) as prediction_count
    from week_ago
),

raising as (
    select
        factors.nim,
        factors.raising_rank,
        factors.factor_label || ': ' || factors.factor_value as reason
    from factors
    where
        factors.is_raising
        and factors.raising_rank <= 3
),

reasons as (
    select
        raising.nim,
        concat_ws(
            '; ',
            max(case when raising.raising_rank = 1 then raising.reason end),
            max(case when raising.raising_rank = 2 then raising.reason end),
            max(case when raising.raising_rank = 3 then raising.reason end)
        ) as raising_factors
    from raising
    group by raising.nim
),

sized as (
    select
        mahasiswa.*,
        count(*) over (partition by mahasiswa.prodi_nama, mahasiswa.angkatan) as group_count,
        count(*) over (partition by mahasiswa.prodi_nama) as prodi_count,
        count(*) over (partition by mahasiswa.angkatan) as angkatan_count
    from mahasiswa
    inner join risks on mahasiswa.nim = risks.nim
    -- a prediction for who has left since is history, not a risk
    where mahasiswa.is_active
),

final as (
    select
        risks.nim,
        risks.nama_mahasiswa,
        sized.fakultas_nama,
        risks.prodi_nama,
        risks.angkatan,
        sized.prodi_nama || ' (' || cast(sized.prodi_count as string) || ')' as prodi_label,
        cast(sized.angkatan as string) || ' (' || cast(sized.angkatan_count as string) || ')' as angkatan_label,
        sized.group_count as group_size,
        risks.risk_score,
        risks.dropout_probability,
        risks.risk_category,
        risks.predicted_dropout,
        case
            when risks.risk_score < 10 then '0-10'
            when risks.risk_score < 20 then '10-20'
            when risks.risk_score < 30 then '20-30'
            when risks.risk_score < 40 then '30-40'
            when risks.risk_score < 50 then '40-50'
            when risks.risk_score < 60 then '50-60'
            when risks.risk_score < 70 then '60-70'
            when risks.risk_score < 80 then '70-80'
            when risks.risk_score < 90 then '80-90'
            else '90-100'
        end as risk_band,
        case
            when sized.group_count < {{ var('smallest_group') }} then cast(null as double)
            when risks.risk_category = 'High' then cast(100 as double)
            else cast(0 as double)
        end as high_percent,
        case when sized.prodi_count >= {{ var('smallest_group') }} then risks.risk_score end as prodi_risk_score,
        week_ago.risk_score as previous_risk_score,
        risks.risk_score - week_ago.risk_score as risk_change,
        -- below five points a move says little: one week of missed meetings makes as much
        case
            when comparison.prediction_count = 0 then 'Not known: no prediction is a week old yet'
            when week_ago.nim is null then 'New: no prediction a week ago'
            when risks.risk_score - week_ago.risk_score >= 5 then 'Rose by 5 points or more'
            when risks.risk_score - week_ago.risk_score <= -5 then 'Fell by 5 points or more'
            else 'Moved by less than 5 points'
        end as change_since_last_week,
        case
            when comparison.prediction_count = 0 then 'no week to compare yet'
            when week_ago.nim is null then 'new'
            when risks.risk_score > week_ago.risk_score
                then '+' || {{ rounded_text('(risks.risk_score - week_ago.risk_score)', 1) }}
            else {{ rounded_text('(risks.risk_score - week_ago.risk_score)', 1) }}
        end as risk_change_text,
        coalesce(reasons.raising_factors, 'nothing in particular') as raising_factors,
        risks.contributing_factors,
        risks.model_name,
        risks.model_version,
        risks.feature_timestamp,
        risks.prediction_timestamp
    from risks
    inner join sized on risks.nim = sized.nim
    cross join comparison
    left join week_ago on risks.nim = week_ago.nim
    left join reasons on risks.nim = reasons.nim
)

select * from final
