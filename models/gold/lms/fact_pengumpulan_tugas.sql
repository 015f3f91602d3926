with
pengumpulan as (
    select * from {{ ref('stg_lms__pengumpulan') }}
),

final as (
    select
        pengumpulan.nim,
        pengumpulan.id_tugas,
        cast(
            row_number() over (
                partition by pengumpulan.nim, pengumpulan.id_tugas
                order by pengumpulan.recorded_at
            ) as bigint
        ) as pengumpulan_ke,
        pengumpulan.skor,
        coalesce(pengumpulan.dari_sebelumnya, false) as is_carried_over,
        pengumpulan.waktu_kumpul,
        pengumpulan.recorded_at,
        pengumpulan.loaded_at
    from pengumpulan
)

select * from final
