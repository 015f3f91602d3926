with
aktivitas as (
    select * from {{ ref('stg_lms__aktivitas') }}
),

final as (
    select
        aktivitas.nim,
        aktivitas.jumlah_klik,
        aktivitas.tanggal,
        aktivitas.recorded_at,
        aktivitas.loaded_at
    from aktivitas
)

select * from final
