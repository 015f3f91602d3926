# Written by `insightera use-cases sync` from models/labels/label_attendance_anomaly.yml: change that.
def model(dbt, session):
    """What the champion was trained on, from the lake."""
    from ml import monitoring

    dbt.config(materialized="table")
    dbt.ref("train_attendance_anomaly")
    return monitoring.training_set(
        "attendance_anomaly",
        build=dbt.ref("this_build"),
        connection=session,
    )
