"""Planted faults in OULAD's weekly activity: how many an anomaly detector finds, beside robust z.

`OULAD` names the folder of the tables. A row is a student's week in a course, asked of those who
were active within the four weeks before. What is usual is learned from the presentations of 2013;
faults are planted into 2014B, one student-week in a hundred, chosen by hash: the same every time.
Real students stop and flood too; those rows count as not planted, so no detector can reach 100 %.
"""

import sys
from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from benchmarks.dbt_build import oulad

SHARES = (0.01, 0.02)
PLANTED_PER_MILLE = 10
LEARNED = "2013%"
JUDGED = "2014B"
# What becomes of the clicks of each of the week's seven days. `usual`: the student's mean of the
# four weeks before; `position`: of the day, 0 to 6.
FAULTS = {
    "stops": "0",
    "floods": "20 * clicks",
    "all on one day": "case when position = 3 then cast(round(4 * usual) as bigint) else 0 end",
    "same every day": "cast(round(2 * usual / 7) as bigint)",
}
KINDS = dict.fromkeys(
    (
        *("clicks_7d", "active_days_7d", "busiest_day_share", "evenness"),
        *("against_own", "against_class", "active_days_against_own"),
    ),
    "number",
)


def activity(folder: Any) -> pd.DataFrame:
    """Clicks of each student, course, presentation and day from the start on, exact doubles once."""
    return duckdb.execute(
        """
        with clicks as (
            select distinct * from read_parquet($path) where "date" >= 0
        )

        select
            code_module || '/' || code_presentation as course,
            code_presentation as presentation,
            id_student as student,
            "date" // 7 as week,
            "date" % 7 as position,
            cast(sum(sum_click) as bigint) as clicks
        from clicks
        group by all
        order by all
        """,
        {"path": str(folder / "studentVle.parquet")},
    ).df()


def weeks(daily: pd.DataFrame) -> pd.DataFrame:
    """A row for each student's week that has activity within the four weeks before it."""
    with duckdb.connect() as connection:
        connection.register("daily", daily)
        return connection.execute(
            """
            with last_weeks as (
                select course, max(week) as last_week from daily group by course
            ),

            students as (
                select course, presentation, student, min(week) as first_week from daily group by all
            ),

            calendar as (
                select students.course, presentation, student, unnest(range(first_week, last_week)) as week
                from students
                inner join last_weeks on students.course = last_weeks.course
            ),

            held as (
                select
                    course, student, week,
                    sum(clicks) as clicks,
                    count(*) filter (where clicks > 0) as active_days,
                    max(clicks) as busiest,
                    stddev_pop(clicks) filter (where clicks > 0)
                        / nullif(avg(clicks) filter (where clicks > 0), 0) as unevenness
                from daily
                group by all
            ),

            filled as (
                select
                    calendar.*,
                    coalesce(held.clicks, 0) as clicks_7d,
                    coalesce(held.active_days, 0) as active_days_7d,
                    held.busiest / nullif(held.clicks, 0) as busiest_day_share,
                    case when held.active_days > 1 then held.unevenness end as evenness
                from calendar
                left join held using (course, student, week)
            ),

            moving as (
                select
                    *,
                    avg(clicks_7d) over before as usual,
                    avg(active_days_7d) over before as usual_days,
                    count(*) over before as weeks_before,
                    median(ln(clicks_7d + 1)) over (partition by course, week) as class_level
                from filled
                window before as (
                    partition by course, student order by week rows between 4 preceding and 1 preceding
                )
            )

            select
                course, presentation, student, week, usual, usual_days,
                clicks_7d, active_days_7d, busiest_day_share, evenness,
                ln((clicks_7d + 1) / (usual + 1)) as against_own,
                ln(clicks_7d + 1) - class_level as against_class,
                active_days_7d - usual_days as active_days_against_own
            from moving
            where usual > 0 and weeks_before = 4
            order by course, student, week
            """
        ).df()


def planted(daily: pd.DataFrame, rows: pd.DataFrame, faults: Mapping[str, str]) -> pd.DataFrame:
    """The student-weeks that are to be faulty, with `fault`, and their seven days' new `clicks`.

    One in a hundred of those who were active on three days or more of a usual week, at most one of
    a student: a planted week would be part of the next one's usual.
    """
    with duckdb.connect() as connection:
        connection.register("daily", daily)
        connection.register("rows", rows)
        names = ", ".join(f"'{name}'" for name in faults)
        cases = " ".join(f"when fault = '{name}' then {sql}" for name, sql in faults.items())
        return connection.execute(
            f"""
            with hashed as (
                select *, md5_number_lower(course || '/' || student || '/' || week) as hash
                from rows
                where usual_days >= 3 and presentation = $judged
            ),

            chosen as (
                select *, [{names}][cast(1 + hash % {len(faults)} as bigint)] as fault
                from hashed
                where active_days_7d > 1
                qualify row_number() over (partition by course, student order by hash) = 1
                order by hash
                limit (select count(*) * {PLANTED_PER_MILLE} // 1000 from rows where presentation = $judged)
            ),

            days as (
                select chosen.*, unnest(range(7)) as position from chosen
            ),

            known as (
                select days.*, coalesce(daily.clicks, 0) as clicks
                from days
                left join daily using (course, student, week, position)
            )

            select course, presentation, student, week, position, fault, case {cases} end as clicks
            from known
            order by all
            """,
            {"judged": JUDGED},
        ).df()


def with_faults(daily: pd.DataFrame, faulty: pd.DataFrame) -> pd.DataFrame:
    """The activity with the planted days instead of the real ones."""
    with duckdb.connect() as connection:
        connection.register("daily", daily)
        connection.register("faulty", faulty)
        return connection.execute(
            """
            select * from daily
            where (course, student, week) not in (select (course, student, week) from faulty)
            union all
            select course, presentation, student, week, position, clicks from faulty where clicks > 0
            """
        ).df()


def evaluate_planted(
    frame: pd.DataFrame, faults: Mapping[str, str], path: str = "sklearn.ensemble.IsolationForest"
) -> list[dict[str, Any]]:
    """A row per measure: `measure`, `value`, `baseline` (robust z on the same rows), `rows` it is of.

    `frame`: as `activity` gives it; `faults`: name -> SQL of the day's clicks.
    """
    from ml.tasks import anomaly_measures as measures
    from ml.tasks.detecting import Detector

    faulty = planted(frame, weeks(frame), faults)
    rows = weeks(with_faults(frame, faulty))
    fault = rows.merge(
        faulty[["course", "student", "week", "fault"]].drop_duplicates(),
        on=["course", "student", "week"],
        how="left",
    )["fault"]
    learned = rows["presentation"].str.startswith(LEARNED.rstrip("%")).to_numpy()
    judged = (rows["presentation"] == JUDGED).to_numpy()
    hashes = pd.util.hash_pandas_object(rows["student"], index=False).to_numpy(np.uint64)
    detector = Detector(KINDS, SHARES[-1], path).fit(rows[learned], hashes[learned])
    truth, kinds = fault[judged].notna().to_numpy(), fault[judged].to_numpy()
    said = detector.answers(rows[judged])
    baseline = detector.baseline(rows[judged])

    found = [
        {
            "measure": "average precision",
            "value": measures.average_precision(truth, said["z"]),
            "baseline": measures.average_precision(truth, baseline["z"]),
            "rows": len(truth),
        },
        {
            "measure": f"share flagged, at most {SHARES[-1]:.0%} of usual rows",
            "value": float(said["flagged"].mean()),
            "baseline": float(baseline["flagged"].mean()),
            "rows": len(truth),
        },
    ]
    for share in SHARES:
        for name in ("all faults", *faults):
            of = truth if name == "all faults" else kinds == name
            found.append(
                {
                    "measure": f"{name}, found at {share:.0%} flagged",
                    "value": measures.found_at(of, said["z"], share),
                    "baseline": measures.found_at(of, baseline["z"], share),
                    "rows": int(of.sum()),
                }
            )
    return found


def main() -> None:
    """Print the table; without the data say so."""
    folder = oulad()
    if not (folder / "studentVle.parquet").is_file():
        sys.exit(f"No OULAD in {folder}: set OULAD to the folder of its tables.")
    from ml.tasks.markdown import table

    found = evaluate_planted(activity(folder), FAULTS, *sys.argv[1:])
    rows = [(r["measure"], f"{r['value']:.3f}", f"{r['baseline']:.3f}") for r in found]
    print(table(("measure", "detector", "robust z"), rows))


if __name__ == "__main__":
    main()
