with
raw_krs as (
    {{ raw_rows('siakad', 'krs') }}
),

final as (
    select
        raw_krs.nim,
        raw_krs.kode_mk,
        raw_krs.semester,
        raw_krs.status_krs,
        raw_krs.recorded_at,
        raw_krs.loaded_at
    from raw_krs
)

select * from final
