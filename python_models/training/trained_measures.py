# Written by `insightera use-cases sync` from models/labels/ and models/reporting/: change those.
def model(dbt, session):  # noqa: ARG001
    """Every measure of every registered version, a row each."""
    from ml import training

    dbt.config(materialized="table")
    dbt.ref("train_academic_excellence")
    dbt.ref("train_attendance_anomaly")
    dbt.ref("train_enrolment_forecast")
    dbt.ref("train_student_dropout")
    return training.measures(build=dbt.ref("this_build"))
