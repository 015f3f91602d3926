{#- Written by `insightera use-cases sync` from models/labels/: change that. -#}
{% macro monitored_use_cases() -%}
    {#- The use cases, as {name: {name of the join: feature table}}. It stands here, and is not read from dbt's graph,
        because dbt wants to know a model's parents while it parses.
        Use: `{% for name, tables in monitored_use_cases().items() %}`. -#}
    {{ return({
        'academic_excellence': {
            'academic': 'features_mahasiswa_academic',
            'assessment': 'features_mahasiswa_assessment',
            'attendance': 'features_mahasiswa_attendance',
            'cohort': 'features_mahasiswa_cohort',
            'demographic': 'features_mahasiswa_demographic',
            'engagement': 'features_mahasiswa_engagement',
        },
        'attendance_anomaly': {
            'attendance_habit': 'features_mahasiswa_attendance_habit',
        },
        'enrolment_forecast': {
            'enrolment': 'features_program_studi_enrolment',
        },
        'student_dropout': {
            'academic': 'features_mahasiswa_academic',
            'assessment': 'features_mahasiswa_assessment',
            'attendance': 'features_mahasiswa_attendance',
            'cohort': 'features_mahasiswa_cohort',
            'demographic': 'features_mahasiswa_demographic',
            'engagement': 'features_mahasiswa_engagement',
        },
    }) }}
{%- endmacro %}
