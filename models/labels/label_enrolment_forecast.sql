with
registrasi as (
    select * from {{ ref('fact_registrasi_prodi') }}
),

program_studi as (
    select * from {{ ref('dim_program_studi') }}
),

terms as (
    select
        paruhs.paruh,
        row_number() over (order by paruhs.paruh) as term,
        count(*) over () as terms
    from (select distinct registrasi.paruh from registrasi) as paruhs
),

-- semesters in a row, numbered through the years: the next one is nameable before anyone is enrolled in it
censuses as (
    select
        registrasi.kode_prodi,
        registrasi.semester,
        registrasi.tahun * terms.terms + terms.term as number,
        terms.terms,
        registrasi.jumlah_aktif,
        registrasi.known_at,
        max(registrasi.tahun * terms.terms + terms.term) over () as newest_number
    from registrasi
    inner join terms on registrasi.paruh = terms.paruh
    inner join program_studi on registrasi.kode_prodi = program_studi.kode_prodi
    where
        registrasi.is_current
        and registrasi.known_at <= {{ as_of() }}
),

moments as (
    select distinct
        censuses.kode_prodi,
        censuses.known_at as cutoff
    from censuses
    where censuses.known_at < {{ as_of() }}
    union all
    select distinct
        censuses.kode_prodi,
        {{ as_of() }} as cutoff
    from censuses
),

-- what was the newest semester then
asked as (
    select
        moments.kode_prodi,
        moments.cutoff,
        max(censuses.number) as number,
        max(censuses.terms) as terms,
        max(censuses.newest_number) as newest_number
    from moments
    inner join censuses
        on
            moments.kode_prodi = censuses.kode_prodi
            and moments.cutoff >= censuses.known_at
    group by moments.kode_prodi, moments.cutoff
),

horizons as (
    select 1 as horizon
    union all
    select 2 as horizon
),

targets as (
    select
        asked.kode_prodi,
        asked.cutoff,
        asked.number,
        asked.terms,
        horizons.horizon,
        asked.number + horizons.horizon as target_number
    from asked
    cross join horizons
    -- a programme without a census for a year is closed, or is not reported any more
    where asked.cutoff < {{ as_of() }} or asked.number > asked.newest_number - asked.terms
),

named as (
    select
        targets.*,
        terms.term as target_term,
        cast(cast((targets.target_number - terms.term) / targets.terms as integer) as string)
        || terms.paruh as target_period
    from targets
    inner join terms on mod(targets.target_number - terms.term, targets.terms) = 0
),

-- the newest census of the same term that was known then: of last year, mostly
alike as (
    select
        named.kode_prodi,
        named.cutoff,
        named.horizon,
        censuses.jumlah_aktif,
        row_number() over (
            partition by named.kode_prodi, named.cutoff, named.horizon
            order by censuses.number desc
        ) as recency
    from named
    inner join censuses
        on
            named.kode_prodi = censuses.kode_prodi
            and named.cutoff >= censuses.known_at
            and named.target_number > censuses.number
            and named.target_number - censuses.number <= 2 * named.terms
            and mod(named.target_number - censuses.number, named.terms) = 0
),

final as (
    select
        named.kode_prodi,
        named.target_period,
        named.horizon,
        named.cutoff,
        coalesce(
            answers.known_at,
            greatest(
                {{ day_start(day_number('named.cutoff') ~ ' + cast(365 * named.horizon / named.terms as integer)') }},
                {{ day_start(day_number(as_of()) ~ ' + 1') }}
            )
        ) as matures_at,
        cast(answers.jumlah_aktif as double) as label,
        cast(named.target_term as integer) as target_term,
        cast(alike.jumlah_aktif as double) as active_students_same_term
    from named
    left join alike
        on
            named.kode_prodi = alike.kode_prodi
            and named.cutoff = alike.cutoff
            and named.horizon = alike.horizon
            and alike.recency = 1
    left join censuses as answers
        on
            named.kode_prodi = answers.kode_prodi
            and named.target_number = answers.number
)

select * from final
