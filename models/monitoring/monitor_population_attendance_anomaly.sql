{#- Written by `insightera use-cases sync` from models/labels/label_attendance_anomaly.yml: change that. -#}
{{ current_population('attendance_anomaly') }}
