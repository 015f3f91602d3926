{#- Written by `insightera use-cases sync` from models/labels/label_student_dropout.yml: change that. -#}
{{ current_population('student_dropout') }}
