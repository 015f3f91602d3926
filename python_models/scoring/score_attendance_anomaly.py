# Written by `insightera use-cases sync` from models/labels/label_attendance_anomaly.yml: change that.
def model(dbt, session):
    """This build's predictions, read back from the audit branch: its tests are the audit."""
    from ml import scoring

    dbt.config(materialized="table")
    return scoring.score(
        "attendance_anomaly",
        build=dbt.ref("this_build"),
        spine=dbt.ref("label_attendance_anomaly"),
        features={
            "attendance_habit": dbt.ref("features_mahasiswa_attendance_habit"),
        },
        attributes=dbt.ref("dim_mahasiswa_current"),
        trained=dbt.ref("train_attendance_anomaly"),
        connection=session,
    )
