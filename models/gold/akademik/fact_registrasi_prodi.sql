{%- set census_days = var('census_days') | int -%}

with
registrasi as (
    select * from {{ ref('stg_siakad__registrasi_prodi') }}
),

krs as (
    select * from {{ ref('stg_siakad__krs') }}
),

mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

-- a census day by what reached the lake first: nothing that comes later can move it
censuses as (
    select
        krs.semester,
        {{ day_start(day_number('min(krs.loaded_at)') ~ ' + ' ~ census_days) }} as census_at
    from krs
    group by krs.semester
    having {{ day_number('min(krs.loaded_at)') }} + {{ census_days }} <= {{ day_number(as_of()) }}
),

-- on census day it is counted once and for all, from what was there by then
plans as (
    select
        krs.nim,
        krs.semester,
        krs.status_krs,
        censuses.census_at,
        row_number() over (
            partition by krs.nim, krs.kode_mk, krs.semester
            order by krs.recorded_at desc
        ) as version_rank
    from krs
    inner join censuses on krs.semester = censuses.semester
    where
        krs.recorded_at < censuses.census_at
        and krs.loaded_at < censuses.census_at
),

enrolled as (
    select
        plans.nim,
        plans.semester,
        plans.census_at,
        case
            when plans.semester = min(plans.semester) over (partition by plans.nim) then 1
            else 0
        end as is_new
    from plans
    where
        plans.version_rank = 1
        and plans.status_krs = 'diambil'
    group by plans.nim, plans.semester, plans.census_at
),

-- every student whom the university knew on census day, in the programme of then, so that an empty programme counts 0
programmes as (
    select
        mahasiswa.nim,
        mahasiswa.kode_prodi,
        censuses.semester,
        censuses.census_at,
        row_number() over (
            partition by mahasiswa.nim, censuses.semester
            order by mahasiswa.valid_from desc
        ) as version_rank
    from mahasiswa
    inner join censuses
        on
            mahasiswa.valid_from < censuses.census_at
            and mahasiswa.loaded_at < censuses.census_at
),

counted as (
    select
        programmes.kode_prodi,
        programmes.semester,
        cast(count(enrolled.nim) as integer) as jumlah_aktif,
        cast(coalesce(sum(enrolled.is_new), 0) as integer) as jumlah_baru,
        programmes.census_at - interval '1 microsecond' as recorded_at
    from programmes
    left join enrolled
        on
            programmes.nim = enrolled.nim
            and programmes.semester = enrolled.semester
    where programmes.version_rank = 1
    group by programmes.kode_prodi, programmes.semester, programmes.census_at
),

-- the registrar's word goes before a count, which stands until that was recorded: what comes later cannot unsay it
every_row as (
    select
        registrasi.kode_prodi,
        registrasi.semester,
        registrasi.jumlah_aktif,
        registrasi.jumlah_baru,
        'registrar' as sumber,
        true as is_current,
        registrasi.recorded_at,
        {{ end_of_time() }} as superseded_at,
        registrasi.loaded_at
    from registrasi
    union all
    select
        counted.kode_prodi,
        counted.semester,
        counted.jumlah_aktif,
        counted.jumlah_baru,
        'krs' as sumber,
        registrasi.semester is null as is_current,
        counted.recorded_at,
        coalesce(registrasi.recorded_at, {{ end_of_time() }}) as superseded_at,
        counted.recorded_at as loaded_at
    from counted
    left join registrasi
        on
            counted.kode_prodi = registrasi.kode_prodi
            and counted.semester = registrasi.semester
    where
        registrasi.semester is null
        or registrasi.recorded_at > counted.recorded_at
),

final as (
    select
        every_row.kode_prodi,
        every_row.semester,
        cast(substr(every_row.semester, 1, 4) as integer) as tahun,
        substr(every_row.semester, 5) as paruh,
        every_row.jumlah_aktif,
        every_row.jumlah_baru,
        every_row.sumber,
        every_row.is_current,
        every_row.recorded_at,
        every_row.superseded_at,
        every_row.loaded_at,
        {{ day_start(day_number('greatest(every_row.recorded_at, every_row.loaded_at)') ~ ' + 1') }} as known_at
    from every_row
    where {{ matches_whole('every_row.semester', '[0-9]{4}.*') }}
)

select * from final
