{% macro intended_use_cases() -%}
    {#- The sixteen questions that this platform is to answer, as a list of (name, group, title, Indonesian title). -#}
    {{ return([
        ('enrolment_forecast', 'Forecast', 'Enrolment', 'Perkiraan pendaftaran mahasiswa'),
        ('budget_forecast', 'Forecast', 'Spending', 'Perkiraan belanja anggaran'),
        ('publication_forecast', 'Forecast', 'Publications', 'Perkiraan publikasi'),
        ('turnover_forecast', 'Forecast', 'Staff turnover', 'Perkiraan pegawai keluar'),
        ('student_dropout', 'Risk', 'Student dropout', 'Risiko mahasiswa putus studi'),
        ('budget_overrun', 'Risk', 'Budget overrun', 'Risiko anggaran terlampaui'),
        ('project_failure', 'Risk', 'Research project failure', 'Risiko proyek penelitian gagal'),
        ('faculty_attrition', 'Risk', 'Staff attrition', 'Risiko dosen dan pegawai keluar'),
        ('academic_excellence', 'Opportunity', 'Academic excellence', 'Peluang prestasi akademik'),
        ('research_collaboration', 'Opportunity', 'Research collaboration', 'Peluang kolaborasi penelitian'),
        ('grant_opportunity', 'Opportunity', 'Grants', 'Peluang hibah'),
        ('alumni_engagement', 'Opportunity', 'Alumni engagement', 'Peluang keterlibatan alumni'),
        ('transaction_anomaly', 'Anomaly', 'Transactions', 'Anomali transaksi keuangan'),
        ('attendance_anomaly', 'Anomaly', 'Attendance', 'Anomali kehadiran'),
        ('grade_anomaly', 'Anomaly', 'Grades', 'Anomali nilai'),
        ('asset_anomaly', 'Anomaly', 'Assets', 'Anomali aset'),
    ]) }}
{%- endmacro %}
