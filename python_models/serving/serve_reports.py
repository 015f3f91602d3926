def model(dbt, session):
    """One row: the serving file that this build put in the place of the former one."""
    from ml import serving

    dbt.config(materialized="table")
    return serving.replace(
        build=dbt.ref("this_build"),
        tables={
            "report_academic_semester": dbt.ref("report_academic_semester"),
            "report_courses": dbt.ref("report_courses"),
            "report_dropout_risk_factors": dbt.ref("report_dropout_risk_factors"),
            "report_enrolment": dbt.ref("report_enrolment"),
            "report_quarantine": dbt.ref("report_quarantine"),
            "report_receipts": dbt.ref("report_receipts"),
            "report_student_dropout_risk": dbt.ref("report_student_dropout_risk"),
        },
        connection=session,
    )
