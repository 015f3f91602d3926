# Written by `insightera use-cases sync` from models/labels/label_academic_excellence.yml: change that.
def model(dbt, session):
    """What the champion was trained on, from the lake."""
    from ml import monitoring

    dbt.config(materialized="table")
    dbt.ref("train_academic_excellence")
    return monitoring.training_set(
        "academic_excellence",
        build=dbt.ref("this_build"),
        connection=session,
    )
