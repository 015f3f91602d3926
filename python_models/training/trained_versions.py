# Written by `insightera use-cases sync` from models/labels/ and models/reporting/: change those.
def model(dbt, session):  # noqa: ARG001
    """Every registered version, from the registry."""
    from ml import training

    dbt.config(materialized="table")
    dbt.ref("train_academic_excellence")
    dbt.ref("train_attendance_anomaly")
    dbt.ref("train_enrolment_forecast")
    dbt.ref("train_student_dropout")
    return training.versions(build=dbt.ref("this_build"))
