with
risks as (
    select * from {{ ref('published_student_dropout_risk') }}
),

mahasiswa as (
    select * from {{ ref('dim_mahasiswa_current') }}
),

final as (
    select
        risks.nim,
        risks.nama_mahasiswa,
        mahasiswa.fakultas_nama,
        risks.prodi_nama,
        risks.angkatan,
        risks.risk_score,
        risks.dropout_probability,
        risks.risk_category,
        risks.predicted_dropout,
        risks.contributing_factors,
        risks.model_name,
        risks.model_version,
        risks.feature_timestamp,
        risks.prediction_timestamp
    from risks
    inner join mahasiswa on risks.nim = mahasiswa.nim
    -- a prediction for who has left since is history, not a risk
    where mahasiswa.is_active
)

select * from final
