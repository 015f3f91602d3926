with
mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

bounds as (
    select
        {{ day_number('min(mahasiswa.valid_from)') }} as first_day,
        {{ day_number(as_of()) }} as last_day
    from mahasiswa
),

days as (
    {{ numbers_between('bounds', 'bounds.first_day', 'bounds.last_day', 'hari') }}
),

dates as (
    select cast({{ day_start('days.hari') }} as date) as tanggal
    from days
),

final as (
    select
        dates.tanggal,
        cast(extract(year from dates.tanggal) as integer) as tahun,
        cast(extract(quarter from dates.tanggal) as integer) as kuartal,
        cast(extract(month from dates.tanggal) as integer) as bulan,
        cast(extract(week from dates.tanggal) as integer) as minggu_iso,
        cast({{ iso_weekday('dates.tanggal') }} as integer) as hari_ke,
        {{ iso_weekday('dates.tanggal') }} >= 6 as is_akhir_pekan
    from dates
)

select * from final
