with
raw_nilai as (
    {{ raw_rows('siakad', 'nilai') }}
),

final as (
    select
        raw_nilai.nim,
        raw_nilai.kode_mk,
        raw_nilai.semester,
        raw_nilai.nilai_angka,
        raw_nilai.nilai_huruf,
        raw_nilai.bobot,
        raw_nilai.recorded_at,
        raw_nilai.loaded_at
    from raw_nilai
)

select * from final
