# Written by `insightera use-cases sync` from models/labels/label_enrolment_forecast.yml: change that.
def model(dbt, session):
    """This build's predictions, read back from the audit branch: its tests are the audit."""
    from ml import scoring

    dbt.config(materialized="table")
    return scoring.score(
        "enrolment_forecast",
        build=dbt.ref("this_build"),
        spine=dbt.ref("label_enrolment_forecast"),
        features={
            "enrolment": dbt.ref("features_program_studi_enrolment"),
        },
        attributes=dbt.ref("dim_program_studi"),
        trained=dbt.ref("train_enrolment_forecast"),
        connection=session,
    )
