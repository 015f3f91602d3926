{% macro raw_tables() -%}
    {#- Every table of the raw contract, as [source, table]. It stands here, and not only in YAML, because
        dbt wants to know a model's parents while it parses; a test holds it against the sources.
        Use: `{% for source_name, table_name in raw_tables() %}`. -#}
    {{ return([
        ['siakad', 'fakultas'],
        ['siakad', 'program_studi'],
        ['siakad', 'mahasiswa'],
        ['siakad', 'mata_kuliah'],
        ['siakad', 'krs'],
        ['siakad', 'nilai'],
        ['siakad', 'registrasi_prodi'],
        ['siakad', 'dosen'],
        ['siakad', 'kelas'],
        ['siakad', 'sebaran_nilai'],
        ['siakad', 'pendaftaran'],
        ['presensi', 'kehadiran_mahasiswa'],
        ['lms', 'tugas'],
        ['lms', 'pengumpulan'],
        ['lms', 'aktivitas'],
    ]) }}
{%- endmacro %}
