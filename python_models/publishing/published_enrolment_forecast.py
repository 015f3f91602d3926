# Written by `insightera use-cases sync` from models/labels/label_enrolment_forecast.yml: change that.
def model(dbt, session):
    """Current predictions from `main`, after what passed its audit has moved there."""
    from ml import publishing

    dbt.config(materialized="table")
    return publishing.publish(
        "enrolment_forecast",
        build=dbt.ref("this_build"),
        audited=dbt.ref("score_enrolment_forecast"),
        connection=session,
    )
