-- Every raw row that the build may see is in its fact, once, or in quarantine. Were a fact to miss rows, the numbers on
-- every dashboard would be too small without anyone noticing. Counted from the raw rows, so that an error in staging
-- cannot hide itself.
with
counts as (
    {%- for fact, source_name, table_name in [
        ('fact_aktivitas_lms', 'lms', 'aktivitas'),
        ('fact_kehadiran_mahasiswa', 'presensi', 'kehadiran_mahasiswa'),
        ('fact_pengumpulan_tugas', 'lms', 'pengumpulan'),
        ('fact_perkuliahan', 'siakad', 'nilai'),
    ] %}
    select
        '{{ fact }}' as fact,
        (
            select count(*)
            from ({{ raw_seen(source_name, table_name) }}) as seen
            where {{ is_visible('seen') }}
        ) as raw_count,
        (
            select count(*)
            from {{ ref('quarantine') }}
            where table_name = '{{ source_name }}.{{ table_name }}'
        ) as quarantined_count,
        (select count(*) from {{ ref(fact) }}) as fact_count
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select *
from counts
where raw_count <> quarantined_count + fact_count
