# Written by `insightera use-cases sync` from models/labels/label_academic_excellence.yml: change that.
def model(dbt, session):
    """One row: what training decided in this build, and the champion that scoring is to use."""
    from ml import training

    dbt.config(materialized="table")
    return training.train(
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
        connection=session,
    )
