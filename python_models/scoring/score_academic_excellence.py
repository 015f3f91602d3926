# Written by `insightera use-cases sync` from models/labels/label_academic_excellence.yml: change that.
def model(dbt, session):
    """This build's predictions, read back from the audit branch: its tests are the audit."""
    from ml import scoring

    dbt.config(materialized="table")
    return scoring.score(
        "academic_excellence",
        build=dbt.ref("this_build"),
        spine=dbt.ref("label_academic_excellence"),
        features={
            "academic": dbt.ref("features_mahasiswa_academic"),
            "assessment": dbt.ref("features_mahasiswa_assessment"),
            "attendance": dbt.ref("features_mahasiswa_attendance"),
            "cohort": dbt.ref("features_mahasiswa_cohort"),
            "demographic": dbt.ref("features_mahasiswa_demographic"),
            "engagement": dbt.ref("features_mahasiswa_engagement"),
        },
        attributes=dbt.ref("dim_mahasiswa_current"),
        trained=dbt.ref("train_academic_excellence"),
        connection=session,
    )
