with
krs as (
    select * from {{ ref('stg_siakad__krs') }}
),

tugas as (
    select * from {{ ref('dim_tugas') }}
),

krs_versions as (
    select
        krs.nim,
        krs.kode_mk,
        krs.semester,
        krs.status_krs,
        krs.recorded_at,
        krs.loaded_at,
        coalesce({{ next_version('krs', ['nim', 'kode_mk', 'semester']) }}, {{ end_of_time() }}) as valid_to,
        {{ next_version('krs', ['nim', 'kode_mk', 'semester'], 'loaded_at') }} as superseded_loaded_at
    from krs
),

final as (
    select
        krs_versions.nim,
        tugas.id_tugas,
        krs_versions.kode_mk,
        krs_versions.semester,
        tugas.bobot_persen,
        tugas.tenggat,
        greatest(krs_versions.recorded_at, tugas.valid_from) as recorded_at,
        least(krs_versions.valid_to, tugas.valid_to) as ended_at,
        greatest(krs_versions.loaded_at, tugas.loaded_at) as loaded_at,
        case
            when krs_versions.valid_to <= tugas.valid_to then krs_versions.superseded_loaded_at
            else tugas.superseded_loaded_at
        end as ended_loaded_at
    from krs_versions
    inner join tugas
        on
            krs_versions.kode_mk = tugas.kode_mk
            and krs_versions.semester = tugas.semester
            and krs_versions.recorded_at < tugas.valid_to
            and krs_versions.valid_to > tugas.valid_from
    where
        krs_versions.status_krs = 'diambil'
        and tugas.tenggat is not null
)

select * from final
