# Written by `insightera use-cases sync` from models/labels/label_attendance_anomaly.yml: change that.
def model(dbt, session):
    """Current predictions from `main`, after what passed its audit has moved there."""
    from ml import publishing

    dbt.config(materialized="table")
    return publishing.publish(
        "attendance_anomaly",
        build=dbt.ref("this_build"),
        audited=dbt.ref("score_attendance_anomaly"),
        connection=session,
    )
