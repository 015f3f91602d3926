with
tugas as (
    select * from {{ ref('stg_lms__tugas') }}
),

final as (
    select
        tugas.id_tugas,
        tugas.kode_mk,
        tugas.semester,
        tugas.jenis,
        tugas.bobot_persen,
        {{ next_version('tugas', ['id_tugas']) }} is null as is_current,
        tugas.tenggat,
        tugas.recorded_at as valid_from,
        coalesce({{ next_version('tugas', ['id_tugas']) }}, {{ end_of_time() }}) as valid_to,
        tugas.loaded_at,
        {{ next_version('tugas', ['id_tugas'], 'loaded_at') }} as superseded_loaded_at
    from tugas
)

select * from final
