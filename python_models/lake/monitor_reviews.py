# Written by `insightera use-cases sync` from models/labels/ and models/reporting/: change those.
def model(dbt, session):  # noqa: ARG001
    """What people said of anomalies, from the lake."""
    from ml import monitoring

    dbt.config(materialized="table")
    dbt.ref("published_academic_excellence")
    dbt.ref("published_attendance_anomalies")
    dbt.ref("published_enrolment_forecast")
    dbt.ref("published_student_dropout_risk")
    return monitoring.reviews(build=dbt.ref("this_build"))
