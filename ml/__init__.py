"""INSIGHTERA's machine learning: called in one line from dbt Python models, or from the command line."""
