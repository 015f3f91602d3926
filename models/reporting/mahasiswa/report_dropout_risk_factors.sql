with
risks as (
    select * from {{ ref('published_student_dropout_risk') }}
),

mahasiswa as (
    select * from {{ ref('dim_mahasiswa_current') }}
),

labels as (
    {{ feature_labels() }}
),

ranked as (
    select
        risks.nim,
        risks.risk_category,
        risks.contributing_factors,
        mahasiswa.fakultas_nama,
        mahasiswa.prodi_nama,
        mahasiswa.angkatan,
        percent_rank() over (order by risks.risk_score desc) <= 0.1 as is_highest_tenth
    from risks
    inner join mahasiswa on risks.nim = mahasiswa.nim
    where mahasiswa.is_active
),

exploded as (
    select
        ranked.nim,
        ranked.risk_category,
        ranked.fakultas_nama,
        ranked.prodi_nama,
        ranked.angkatan,
        ranked.is_highest_tenth,
        {{ each_factor('ranked.contributing_factors') }} as factor
    from ranked
),

factors as (
    select
        exploded.nim,
        exploded.fakultas_nama,
        exploded.prodi_nama,
        exploded.angkatan,
        exploded.risk_category,
        exploded.is_highest_tenth,
        exploded.factor.feature as feature,
        exploded.factor.value as raw_value,
        {{ try_cast_raw('exploded.factor.value', 'double') }} as number_value,
        exploded.factor.contribution as contribution,
        row_number() over (
            partition by exploded.nim
            order by exploded.factor.contribution desc, exploded.factor.feature asc
        ) as raising_rank
    from exploded
),

final as (
    select
        factors.nim,
        factors.fakultas_nama,
        factors.prodi_nama,
        factors.angkatan,
        factors.risk_category,
        factors.is_highest_tenth,
        factors.feature,
        coalesce(labels.label, factors.feature) as factor_label,
        case
            when factors.raw_value is null then 'not recorded'
            when factors.number_value is null then factors.raw_value
            when labels.unit = 'share'
                then cast(cast(round(100 * factors.number_value) as integer) as string) || ' %'
            when factors.number_value = round(factors.number_value)
                then cast(cast(factors.number_value as integer) as string)
            else {{ rounded_text('factors.number_value', 2) }}
        end as factor_value,
        factors.contribution,
        factors.contribution > 0 as is_raising,
        cast(factors.raising_rank as integer) as raising_rank
    from factors
    left join labels on factors.feature = labels.feature
)

select * from final
