"""Dropout on OULAD: the champion as of 2014-02-01 against plain gradient boosting on the same rows.

Run by `make bench-oulad`; `OULAD` names the folder of the seven tables. State goes to
`var/bench-oulad`, which is emptied first. Writes `benchmarks/oulad.md`.

The champion is what `dbt build` as of 2014-02-01 trains and promotes: nothing later is in it. Both
models then judge presentation 2014B at day 30, 60, 90 and 120: students still registered then,
label: withdraws later. Features are what was believed at that day.
"""

import os
import shutil
import sys
from datetime import datetime, timedelta

from benchmarks.dbt_build import PROJECT, build, environment, oulad

STATE = PROJECT / "var" / "bench-oulad"
TRAINED = datetime(2014, 2, 1)
START = datetime(2014, 2, 1)  # of presentation 2014B
DAYS = (30, 60, 90, 120)
os.environ["INSIGHTERA_HOME"] = str(STATE / "home")
os.environ["INSIGHTERA_RAW"] = str(STATE / "raw")

FEATURES = ("academic", "assessment", "attendance", "cohort", "demographic", "engagement")
HEADER = "| day | model | students | withdraw | ROC AUC | PR AUC | Brier | calibration error |"


def main() -> None:
    """Import, train as of 2014-02-01, judge on 2014B, print and write the table."""
    import duckdb
    import numpy as np

    from ml import engine, registry, tasks
    from ml.core import settings
    from ml.core.use_case import Build
    from ml.features import model_input, point_in_time_join
    from ml.raw.importers.oulad import import_oulad
    from ml.tasks import calibrated, estimators, evaluation
    from ml.training.rows import matured, training_set

    shutil.rmtree(STATE, ignore_errors=True)
    import_oulad(oulad(), STATE / "raw")
    here = environment(STATE / "home", STATE / "raw")
    build("--select", "+train_student_dropout", within=here, as_of=str(TRAINED))
    build("--select", "+path:models/features", "+label_student_dropout", within=here)

    champion = registry.champion("student_dropout")
    if champion is None:
        sys.exit("No champion: see the decision in ml.train_student_dropout.")
    connection = duckdb.connect(str(settings.warehouse()), read_only=True)
    made = Build.read(connection.table("staging.this_build"))
    task = tasks.of(made.use_case("student_dropout"))
    tables = {name: connection.table(f"features.features_mahasiswa_{name}") for name in FEATURES}
    horizon = timedelta(days=task.use_case.horizon_days)
    spine = connection.table("labels.label_student_dropout").filter(
        f"cutoff <= timestamp '{TRAINED - horizon}'"
    )
    with engine.opened() as on:
        rows = matured(on, spine, task, TRAINED)
        joined, found = training_set(on, rows, tables, task, connection)
    plain = estimators.pipeline("sklearn.ensemble.HistGradientBoostingClassifier", found.kinds, {})
    plain.fit(model_input.frame(joined, list(found.kinds)), rows.labels)

    lines = [HEADER, "|" + "---|" * 8]
    curves = [
        "| day | decile of predicted probability | mean predicted | observed |",
        "|---|---|---|---|",
    ]
    for day in DAYS:
        cutoff = START + timedelta(days=day)
        judged = connection.execute(
            """
            select
                active.nim,
                cast($cutoff as timestamp) as cutoff,
                cast(count(later.nim) > 0 as bigint) as label
            from gold.dim_mahasiswa as active
            left join gold.dim_mahasiswa as later
                on active.nim = later.nim and later.status = 'dropout' and later.valid_from >= $cutoff
            where
                active.nim like '%-2014B' and active.is_active
                and active.valid_from < $cutoff and active.valid_to >= $cutoff
            group by active.nim
            order by active.nim
            """,
            {"cutoff": cutoff},
        ).to_arrow_table()
        labels = judged["label"].to_numpy()
        known = point_in_time_join(
            judged.drop_columns("label"),
            tables,
            entity_keys=["nim"],
            timestamp="cutoff",
            known_at="cutoff",
            connection=connection,
        )
        answers = {
            "champion": calibrated.probabilities(
                champion.pipeline, model_input.frame(known, list(champion.features))
            ),
            "plain gradient boosting": calibrated.probabilities(
                plain, model_input.frame(known, list(found.kinds))
            ),
        }
        for name, probability in answers.items():
            measured = evaluation.measure(labels, probability)
            lines.append(
                f"| {day} | {name} | {len(labels):,} | {labels.mean():.1%} | "
                f"{measured['roc_auc']:.3f} | {measured['pr_auc']:.3f} | {measured['brier']:.4f} | "
                f"{measured['calibration_error']:.4f} |"
            )
        order = np.argsort(answers["champion"], kind="stable")
        for number, part in enumerate(np.array_split(order, 10), start=1):
            curves.append(
                f"| {day} | {number} | {answers['champion'][part].mean():.3f} | {labels[part].mean():.3f} |"
            )
    text = "\n".join(
        [
            "# Dropout on OULAD",
            "",
            "`make bench-oulad` (`OULAD=<folder of the seven tables>`) reproduces this page.",
            "",
            f"Champion: version {champion.version}, trained on what was known before "
            f"{TRAINED:%Y-%m-%d} (horizon {task.use_case.horizon_days} days, {len(rows):,} rows, "
            f"{len(champion.features)} features). Judged on presentation 2014B: students still "
            "registered on that day, label: withdraws later. Plain gradient boosting is "
            "scikit-learn's HistGradientBoostingClassifier with its defaults on the same rows and "
            "every candidate column.",
            "",
            *lines,
            "",
            "## Calibration of the champion",
            "",
            "Its horizon ends before the presentation does on the early days: withdrawals beyond it "
            "count as events here.",
            "",
            *curves,
            "",
        ]
    )
    print(text)
    (PROJECT / "benchmarks" / "oulad.md").write_text(text)


if __name__ == "__main__":
    main()
