def model(dbt, session):
    """Predictions as they stood a week before this build: what the dashboards compare with."""
    from ml import publishing

    dbt.config(materialized="table")
    return publishing.published_before(
        dbt.ref("published_student_dropout_risk"),
        table="student_dropout_risk",
        days=7,
        build=dbt.ref("this_build"),
        connection=session,
    )
