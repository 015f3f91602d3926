{#- Written by `insightera use-cases sync` from models/labels/label_academic_excellence.yml: change that. -#}
{{ current_population('academic_excellence') }}
