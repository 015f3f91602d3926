# Written by `insightera use-cases sync` from models/labels/label_student_dropout.yml: change that.
def model(dbt, session):
    """What the champion was trained on, from the lake."""
    from ml import monitoring

    dbt.config(materialized="table")
    dbt.ref("train_student_dropout")
    return monitoring.training_set(
        "student_dropout",
        build=dbt.ref("this_build"),
        connection=session,
    )
