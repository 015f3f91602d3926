def model(dbt, session):  # noqa: ARG001
    """Every registered version, from the registry."""
    from ml import retraining

    dbt.config(materialized="table")
    dbt.ref("train_student_dropout")
    return retraining.versions(build=dbt.ref("this_build"))
