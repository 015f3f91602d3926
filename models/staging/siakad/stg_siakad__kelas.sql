with
raw_kelas as (
    {{ raw_rows('siakad', 'kelas') }}
),

final as (
    select
        raw_kelas.kode_mk,
        raw_kelas.semester,
        raw_kelas.kelas,
        raw_kelas.nidn,
        raw_kelas.kapasitas,
        raw_kelas.recorded_at,
        raw_kelas.loaded_at
    from raw_kelas
)

select * from final
