with
mahasiswa as (
    select * from {{ ref('dim_mahasiswa') }}
),

scope as (
    select * from {{ feature_scope() }}
),

-- the last version of a day is the one that the next day begins with
daily as (
    select
        mahasiswa.*,
        {{ day_number('mahasiswa.valid_from') }} as hari,
        row_number() over (
            partition by mahasiswa.nim, {{ day_number('mahasiswa.valid_from') }}
            order by mahasiswa.valid_from desc
        ) as version_rank
    from mahasiswa
    inner join scope on mahasiswa.nim = scope.nim
),

final as (
    select
        daily.nim,
        daily.kode_prodi,
        daily.jalur_masuk,
        daily.pendidikan_asal,
        daily.kelompok_penghasilan,
        daily.jumlah_percobaan,
        daily.beban_sks,
        daily.wilayah,
        daily.jenis_kelamin,
        daily.agama,
        daily.suku,
        daily.disabilitas,
        daily.kelompok_usia,
        {{ day_start('daily.hari + 1') }} as valid_from,
        daily.valid_from as feature_timestamp,
        daily.loaded_at
    from daily
    where daily.version_rank = 1
)

select * from final
