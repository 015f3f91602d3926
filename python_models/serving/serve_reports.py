def model(dbt, session):
    """One row: the serving file that this build put in the place of the former one."""
    from ml import serving

    dbt.config(materialized="table")
    return serving.replace(
        build=dbt.ref("this_build"),
        tables={
            "report_quarantine": dbt.ref("report_quarantine"),
            "report_receipts": dbt.ref("report_receipts"),
            "report_student_dropout_risk": dbt.ref("report_student_dropout_risk"),
        },
        connection=session,
    )
