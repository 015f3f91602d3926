with
raw_fakultas as (
    {{ raw_rows('siakad', 'fakultas') }}
),

final as (
    select
        raw_fakultas.kode_fakultas,
        raw_fakultas.nama_fakultas,
        raw_fakultas.recorded_at,
        raw_fakultas.loaded_at
    from raw_fakultas
)

select * from final
