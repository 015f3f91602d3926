# Written by `insightera use-cases sync` from models/labels/label_enrolment_forecast.yml: change that.
def model(dbt, session):
    """What the champion was trained on, from the lake."""
    from ml import monitoring

    dbt.config(materialized="table")
    dbt.ref("train_enrolment_forecast")
    return monitoring.training_set(
        "enrolment_forecast",
        build=dbt.ref("this_build"),
        connection=session,
    )
