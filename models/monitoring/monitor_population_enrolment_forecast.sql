{#- Written by `insightera use-cases sync` from models/labels/label_enrolment_forecast.yml: change that. -#}
{{ current_population('enrolment_forecast') }}
