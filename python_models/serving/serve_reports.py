# Written by `insightera use-cases sync` from models/labels/ and models/reporting/: change those.
def model(dbt, session):
    """One row: the serving file that this build put in the place of the former one."""
    from ml.publishing import serving

    dbt.config(materialized="table")
    return serving.replace(
        build=dbt.ref("this_build"),
        tables={
            "report_academic_semester": dbt.ref("report_academic_semester"),
            "report_courses": dbt.ref("report_courses"),
            "report_drift": dbt.ref("report_drift"),
            "report_dropout_risk_factors": dbt.ref("report_dropout_risk_factors"),
            "report_enrolment": dbt.ref("report_enrolment"),
            "report_freshness": dbt.ref("report_freshness"),
            "report_model_status": dbt.ref("report_model_status"),
            "report_model_versions": dbt.ref("report_model_versions"),
            "report_performance": dbt.ref("report_performance"),
            "report_quarantine": dbt.ref("report_quarantine"),
            "report_receipts": dbt.ref("report_receipts"),
            "report_student_dropout_risk": dbt.ref("report_student_dropout_risk"),
            "report_use_cases": dbt.ref("report_use_cases"),
        },
        connection=session,
    )
