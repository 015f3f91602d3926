# Written by `insightera use-cases sync` from models/labels/label_enrolment_forecast.yml: change that.
def model(dbt, session):
    """One row: what training decided in this build, and the champion that scoring is to use."""
    from ml import training

    dbt.config(materialized="table")
    return training.train(
        "enrolment_forecast",
        build=dbt.ref("this_build"),
        spine=dbt.ref("label_enrolment_forecast"),
        features={
            "enrolment": dbt.ref("features_program_studi_enrolment"),
        },
        connection=session,
    )
