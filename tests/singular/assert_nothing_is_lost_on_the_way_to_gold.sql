-- Every raw row that keeps the contract is in its fact, once; the others are in quarantine. Were a fact to miss rows,
-- the numbers on every dashboard would be too small without anyone noticing.
with
counts as (
    select
        'fact_kehadiran_mahasiswa' as fact,
        (select count(*) from {{ ref('stg_presensi__kehadiran_mahasiswa') }}) as staged_count,
        (select count(*) from {{ ref('fact_kehadiran_mahasiswa') }}) as fact_count
    union all
    select
        'fact_aktivitas_lms' as fact,
        (select count(*) from {{ ref('stg_lms__aktivitas') }}) as staged_count,
        (select count(*) from {{ ref('fact_aktivitas_lms') }}) as fact_count
    union all
    select
        'fact_pengumpulan_tugas' as fact,
        (select count(*) from {{ ref('stg_lms__pengumpulan') }}) as staged_count,
        (select count(*) from {{ ref('fact_pengumpulan_tugas') }}) as fact_count
    union all
    select
        'fact_perkuliahan' as fact,
        (select count(*) from {{ ref('stg_siakad__nilai') }}) as staged_count,
        (select count(*) from {{ ref('fact_perkuliahan') }}) as fact_count
)

select *
from counts
where staged_count <> fact_count
