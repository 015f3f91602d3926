# Written by `insightera use-cases sync` from models/labels/label_attendance_anomaly.yml: change that.
def model(dbt, session):
    """One row: what training decided in this build, and the champion that scoring is to use."""
    from ml import training

    dbt.config(materialized="table")
    return training.train(
        "attendance_anomaly",
        build=dbt.ref("this_build"),
        spine=dbt.ref("label_attendance_anomaly"),
        features={
            "attendance_habit": dbt.ref("features_mahasiswa_attendance_habit"),
        },
        connection=session,
    )
