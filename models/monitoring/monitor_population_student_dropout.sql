{{ current_population('student_dropout') }}
