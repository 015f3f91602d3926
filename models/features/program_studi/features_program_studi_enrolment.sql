with
registrasi as (
    select * from {{ ref('fact_registrasi_prodi') }}
),

mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

scope as (
    select * from {{ feature_scope() }}
),

censuses as (
    select
        registrasi.kode_prodi,
        registrasi.semester,
        registrasi.tahun,
        registrasi.paruh,
        registrasi.jumlah_aktif,
        registrasi.jumlah_baru,
        {{ day_number('registrasi.recorded_at') }} as hari,
        {{ day_number('registrasi.superseded_at') }} as superseded_hari,
        registrasi.recorded_at,
        registrasi.loaded_at
    from registrasi
    inner join scope on registrasi.kode_prodi = scope.kode_prodi
),

-- one day per student and kind of leaving: a version that says the same again is none
exits as (
    select
        mahasiswa.kode_prodi,
        mahasiswa.nim,
        mahasiswa.status,
        {{ day_number('mahasiswa.valid_from') }} as hari,
        mahasiswa.valid_from as recorded_at,
        mahasiswa.loaded_at
    from mahasiswa
    inner join scope on mahasiswa.kode_prodi = scope.kode_prodi
    where mahasiswa.status in ('dropout', 'failed', 'graduated')
),

census_days as (
    {{ moving_days('censuses') }}
),

exit_days as (
    {{ moving_days('exits', windows=[365]) }}
),

instants as (
    select
        census_days.kode_prodi,
        census_days.hari
    from census_days
    union
    select
        exit_days.kode_prodi,
        exit_days.hari
    from exit_days
),

-- the censuses known on each instant, newest semester first
standing as (
    select
        instants.kode_prodi,
        instants.hari as valid_hari,
        censuses.tahun,
        censuses.paruh,
        censuses.jumlah_aktif,
        censuses.jumlah_baru,
        censuses.recorded_at,
        censuses.loaded_at,
        row_number() over (
            partition by instants.kode_prodi, instants.hari
            order by censuses.semester desc
        ) as semester_rank
    from instants
    inner join censuses
        on
            instants.kode_prodi = censuses.kode_prodi
            and instants.hari > censuses.hari
            and instants.hari <= censuses.superseded_hari
),

-- years end with the newest semester: 0 is the one that it closes
compared as (
    select
        standing.*,
        newest.tahun - standing.tahun - case when standing.paruh > newest.paruh then 1 else 0 end as years_ago,
        standing.paruh = newest.paruh as is_same_term
    from standing
    inner join standing as newest
        on
            standing.kode_prodi = newest.kode_prodi
            and standing.valid_hari = newest.valid_hari
            and newest.semester_rank = 1
),

enrolment as (
    select
        compared.kode_prodi,
        compared.valid_hari,
        max(case when compared.semester_rank = 1 then compared.jumlah_aktif end) as active,
        max(case when compared.semester_rank = 2 then compared.jumlah_aktif end) as active_previous,
        max(case when compared.semester_rank = 1 then compared.jumlah_baru end) as new_last,
        max(case when compared.years_ago = 1 and compared.is_same_term then compared.jumlah_aktif end)
            as active_year_ago,
        -- a sum without a semester of which nobody counted the new would be too small, and look like any other
        case
            when count(case when compared.years_ago = 0 and compared.jumlah_baru is null then 1 end) = 0
                then sum(case when compared.years_ago = 0 then compared.jumlah_baru end)
        end as new_year,
        case
            when count(case when compared.years_ago = 1 and compared.jumlah_baru is null then 1 end) = 0
                then sum(case when compared.years_ago = 1 then compared.jumlah_baru end)
        end as new_year_before,
        max(compared.recorded_at) as recorded_at,
        max(compared.loaded_at) as loaded_at
    from compared
    group by compared.kode_prodi, compared.valid_hari
),

-- one day longer than the window: on the day it leaves, a row still is why the value moved
departures as (
    select
        instants.kode_prodi,
        instants.hari as valid_hari,
        count(distinct case when exits.hari >= instants.hari - 365 and exits.status = 'dropout' then exits.nim end)
            as dropouts,
        count(distinct case when exits.hari >= instants.hari - 365 and exits.status = 'failed' then exits.nim end)
            as failures,
        count(distinct case when exits.hari >= instants.hari - 365 and exits.status = 'graduated' then exits.nim end)
            as graduates,
        max(exits.recorded_at) as recorded_at,
        max(exits.loaded_at) as loaded_at
    from instants
    inner join exits
        on
            instants.kode_prodi = exits.kode_prodi
            and instants.hari > exits.hari
            and instants.hari <= exits.hari + 366
    group by instants.kode_prodi, instants.hari
),

combined as (
    select
        instants.kode_prodi,
        instants.hari,
        enrolment.active,
        enrolment.active_previous,
        enrolment.active_year_ago,
        enrolment.new_last,
        enrolment.new_year,
        enrolment.new_year_before,
        case when {{ has_rows(ref('dim_mahasiswa')) }} then coalesce(departures.dropouts, 0) end as dropouts,
        case when {{ has_rows(ref('dim_mahasiswa')) }} then coalesce(departures.failures, 0) end as failures,
        case when {{ has_rows(ref('dim_mahasiswa')) }} then coalesce(departures.graduates, 0) end as graduates,
        greatest(
            coalesce(enrolment.recorded_at, departures.recorded_at),
            coalesce(departures.recorded_at, enrolment.recorded_at)
        ) as feature_timestamp,
        greatest(
            coalesce(enrolment.loaded_at, departures.loaded_at), coalesce(departures.loaded_at, enrolment.loaded_at)
        ) as loaded_at
    from instants
    left join enrolment
        on
            instants.kode_prodi = enrolment.kode_prodi
            and instants.hari = enrolment.valid_hari
    left join departures
        on
            instants.kode_prodi = departures.kode_prodi
            and instants.hari = departures.valid_hari
),

final as (
    select
        combined.kode_prodi,
        cast(combined.active as double) as active_students,
        cast(combined.active_previous as double) as active_students_previous,
        cast(combined.active_year_ago as double) as active_students_year_ago,
        cast(combined.active as double) / nullif(combined.active_previous, 0) - 1 as active_growth,
        cast(combined.active as double) / nullif(combined.active_year_ago, 0) - 1 as active_growth_year,
        cast(combined.new_year as double) as new_students_year,
        cast(combined.new_year as double) / nullif(combined.new_year_before, 0) - 1 as new_growth_year,
        cast(combined.active - combined.new_last as double) / nullif(combined.active_previous, 0) as stayed_share,
        cast(combined.dropouts as integer) as dropouts_365d,
        cast(combined.graduates as integer) as graduates_365d,
        cast(combined.dropouts + combined.failures as double) / nullif(combined.active, 0) as left_share_365d,
        {{ day_start('combined.hari') }} as valid_from,
        combined.feature_timestamp,
        combined.loaded_at
    from combined
)

select * from final
