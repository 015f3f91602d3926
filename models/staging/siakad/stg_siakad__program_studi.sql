with
raw_program_studi as (
    {{ raw_rows('siakad', 'program_studi') }}
),

final as (
    select
        raw_program_studi.kode_prodi,
        raw_program_studi.nama_prodi,
        raw_program_studi.kode_fakultas,
        raw_program_studi.jenjang,
        raw_program_studi.recorded_at,
        raw_program_studi.loaded_at
    from raw_program_studi
)

select * from final
