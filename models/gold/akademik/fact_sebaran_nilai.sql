with
sebaran_nilai as (
    select * from {{ ref('stg_siakad__sebaran_nilai') }}
),

kelas as (
    select * from {{ ref('dim_kelas') }}
),

counted as (
    select
        sebaran_nilai.*,
        cast(
            sebaran_nilai.jumlah_a + sebaran_nilai.jumlah_ab + sebaran_nilai.jumlah_b + sebaran_nilai.jumlah_bc
            + sebaran_nilai.jumlah_c + sebaran_nilai.jumlah_d + sebaran_nilai.jumlah_e as integer
        ) as jumlah_dinilai
    from sebaran_nilai
),

-- who taught the section, by what was recorded before the grades were and came on its day: what comes later cannot
-- change what is said of grades that are there
lecturers as (
    select
        counted.kode_mk,
        counted.semester,
        counted.kelas,
        counted.recorded_at,
        kelas.nidn,
        row_number() over (
            partition by counted.kode_mk, counted.semester, counted.kelas, counted.recorded_at
            order by kelas.valid_from desc
        ) as version_rank
    from counted
    inner join kelas
        on
            counted.kode_mk = kelas.kode_mk
            and counted.semester = kelas.semester
            and counted.kelas = kelas.kelas
            and counted.recorded_at >= kelas.valid_from
    where {{ came_on_its_day('kelas', 'valid_from') }}
),

final as (
    select
        counted.kode_mk,
        counted.semester,
        counted.kelas,
        lecturers.nidn,
        counted.jumlah_peserta,
        counted.jumlah_dinilai,
        counted.jumlah_a,
        counted.jumlah_ab,
        counted.jumlah_b,
        counted.jumlah_bc,
        counted.jumlah_c,
        counted.jumlah_d,
        counted.jumlah_e,
        cast(
            4 * counted.jumlah_a + 3 * counted.jumlah_b + 2 * counted.jumlah_c + counted.jumlah_d as double
        )
        + cast(7 * counted.jumlah_ab + 5 * counted.jumlah_bc as double) / 2 as total_bobot,
        {{ next_version('counted', ['kode_mk', 'semester', 'kelas']) }} is null as is_current,
        counted.recorded_at,
        coalesce(
            {{ next_version('counted', ['kode_mk', 'semester', 'kelas']) }}, {{ end_of_time() }}
        ) as superseded_at,
        counted.loaded_at
    from counted
    left join lecturers
        on
            counted.kode_mk = lecturers.kode_mk
            and counted.semester = lecturers.semester
            and counted.kelas = lecturers.kelas
            and counted.recorded_at = lecturers.recorded_at
            and lecturers.version_rank = 1
)

select * from final
