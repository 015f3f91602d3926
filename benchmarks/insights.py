"""How good every use case's answers are: `make bench-insights` writes benchmarks/insights.md.

The demo university is built in a home of its own, and each use case of that build is read from the registry: a new one
needs no line here. `PLANTED` has a line for each use case whose faults the demo's generator can tell, `REAL` one for each
public data set that says something; `DATA` names their folder, and what is not there is said.

`--json` prints what was measured for machines; `--home` reads a home that was built before.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from benchmarks.dbt_build import PROJECT, build, environment

REPORT = Path(__file__).with_suffix(".md")
DEMO = "demo university"
STUDENTS, SEED = 245, 7  # what `seeds/` was generated with
WINDOW_DAYS = 14  # that a row of `attendance_anomaly` looks back
HALF = 0.5  # of a fault must lie in a row's window, else the row is neither faulty nor usual
OWN, ROBUST = "detector", "robust z"


@dataclass(frozen=True)
class Baseline:
    """What must be beaten: its measure, and the version's on the same rows."""

    name: str
    value: float
    own: float


@dataclass(frozen=True)
class Finding:
    """One use case on one source of data."""

    use_case: str
    data: str
    rows: int  # that judged
    measure: str
    value: float
    greater_is_better: bool
    baselines: tuple[Baseline, ...] = ()
    interval: Mapping[str, float] = field(default_factory=dict)  # promised, coverage, width
    note: str = ""


@dataclass(frozen=True)
class Faults:
    """Planted faults of one kind, and the share of them that was found."""

    use_case: str
    data: str
    kind: str
    number: int
    found: float
    baseline: float | None  # robust z's, where it was asked
    counted: str  # when one counts as found
    right: float | None = None  # of the flagged rows, the share that is planted
    baseline_right: float | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured, and what was not."""

    findings: Sequence[Finding] = ()
    faults: Sequence[Faults] = ()
    missing: Sequence[str] = ()


def enrolment(folder: Path) -> Measured:
    """The enrolment forecast on the University of Illinois' fall enrolment."""
    from benchmarks.insights_enrolment import LEVEL, evaluate_uiuc

    said = pd.DataFrame(evaluate_uiuc(folder))
    return Measured(
        [
            Finding(
                "enrolment_forecast",
                f"uiuc_enrolment: {name}, falls from 2012 on",
                int(rows["rows"].max()),
                str(rows["measure"].iloc[0]),
                float(rows["value"].iloc[0]),
                greater_is_better=False,
                baselines=tuple(
                    Baseline(row.baseline.split(": ")[0], _naive(row), row.value)
                    for row in rows.itertuples()
                ),
                interval={
                    "promised": LEVEL,
                    "coverage": float(rows["coverage"].iloc[0]),
                    "width": float(rows["width"].iloc[0]),
                },
            )
            for name, rows in said.groupby("use_case", sort=False)
        ]
    )


def _naive(row: Any) -> float:
    return float(row.baseline.split(": ")[1])


def weekly_activity(folder: Path) -> Measured:
    """The detector on weekly clicks of OULAD's students, faults planted."""
    from benchmarks.insights_attendance import FAULTS, activity, evaluate_planted

    data = "oulad: weekly clicks of 2014B, learned from 2013"
    found = {row["measure"]: row for row in evaluate_planted(activity(folder), FAULTS)}
    precision = found["average precision"]
    kinds = {kind: found[f"{kind}, found at 2% flagged"] for kind in ("all faults", *FAULTS)}
    return Measured(
        [
            Finding(
                "attendance_anomaly",
                data,
                precision["rows"],
                "average precision",
                precision["value"],
                greater_is_better=True,
                baselines=(Baseline(ROBUST, precision["baseline"], precision["value"]),),
            )
        ],
        [
            Faults(
                *("attendance_anomaly", data, kind),
                *(row["rows"], row["value"], row["baseline"]),
                "student-weeks among the 2% farthest",
            )
            for kind, row in kinds.items()
        ],
    )


def dropout(folder: Path) -> Measured:  # noqa: ARG001 - a build of its own, too long for this one
    """Dropout on OULAD, as `make bench-oulad` measured it last."""
    page = (PROJECT / "benchmarks" / "oulad.md").read_text(encoding="utf-8")
    return Measured(
        oulad_findings(page),
        missing=[
            "`academic_excellence` on oulad: its import fills no `siakad.nilai` (OULAD has no marks of a semester), so "
            "no row can have the label 1"
        ],
    )


def oulad_findings(page: str) -> list[Finding]:
    """The first table of benchmarks/oulad.md: the champion beside the other models, by day."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()]
    by_day: dict[str, dict[str, list[str]]] = {}
    for row in cells:
        if len(row) == 8 and row[0].isdigit():
            by_day.setdefault(row[0], {})[row[1]] = row
    return [
        Finding(
            "student_dropout",
            f"oulad: 2014B at day {day}, as benchmarks/oulad.md has it",
            int(models["champion"][2].replace(",", "")),
            "roc_auc",
            float(models["champion"][4]),
            greater_is_better=True,
            baselines=tuple(
                Baseline(name, float(row[4]), float(models["champion"][4]))
                for name, row in models.items()
                if name != "champion"
            ),
        )
        for day, models in by_day.items()
    ]


# Use case, the file that it takes, and what measures on that file's folder: a line for each.
REAL: tuple[tuple[str, str, Callable[[Path], Measured]], ...] = (
    ("enrolment_forecast", "uiuc_enrolment/enrolment.parquet", enrolment),
    ("attendance_anomaly", "oulad/studentVle.parquet", weekly_activity),
    ("student_dropout", "oulad/studentInfo.parquet", dropout),
)


def on_real_data(data: Path) -> Measured:
    """Every line of `REAL` whose file is in the folder; of the others, that it is not."""
    parts = []
    for use_case, file, measure in REAL:
        folder = data / Path(file).parent
        if (data / file).is_file():
            parts.append(measure(folder))
        else:
            reason = f"`{use_case}` on {folder.name}: not measured, no files in $DATA/{folder.name}"
            parts.append(Measured(missing=[reason]))
    return together(parts)


def on_the_demo() -> Measured:
    """Every use case of the build in `INSIGHTERA_HOME`, as its newest version was registered."""
    from ml import tasks
    from ml.core import settings
    from ml.core.use_case import Build

    with duckdb.connect(str(settings.warehouse()), read_only=True) as connection:
        made = Build.read(connection.table("staging.this_build"))
        parts = []
        for name in sorted(made.use_cases):
            task = tasks.of(made.use_case(name))
            parts.append(registered(connection, task))
            if name in PLANTED and parts[-1].findings:
                parts.append(PLANTED[name](connection, made, task))
    return together(parts)


def registered(connection: duckdb.DuckDBPyConnection, task: Any) -> Measured:
    """The measures beside a use case's newest version; where there is none, why."""
    from ml import lake, registry

    name = task.use_case.name
    decision = connection.table(f"ml.train_{name}").to_arrow_table()["decision"][0].as_py()
    newest = next(iter(registry.list_versions(name)), None)
    if newest is None:
        return Measured(missing=[f"`{name}` on the {DEMO}: {decision}"])
    said = json.loads(registry.document(newest, "metrics.json"))
    measures, own = said["metrics"], said["own_beside_baselines"]
    interval = {}
    if "coverage" in measures:
        interval = {
            "promised": float(task.own["interval"]),
            "coverage": measures["coverage"],
            "width": measures["interval_width"],
        }
    sides = lake.read_table(f"training_{name}", columns=["side"])["side"].to_pylist()
    return Measured(
        [
            Finding(
                name,
                DEMO,
                sides.count("validation"),
                task.metric,
                measures[task.metric],
                greater_is_better=task.greater_is_better[task.metric],
                baselines=tuple(
                    Baseline(each, value, own[each]) for each, value in said["baselines"].items()
                ),
                interval=interval,
                note=decision,
            )
        ]
    )


def planted_attendance(connection: duckdb.DuckDBPyConnection, made: Any, task: Any) -> Measured:
    """The demo's planted faults: the procedure again, learned from the training side and asked about
    the later rows; the champion about all rows; and what the build published at `as_of`.
    """
    from ml import engine, registry
    from ml.features import model_input
    from ml.tasks import anomaly_measures
    from ml.training.rows import matured, training_set

    case = task.use_case
    tables = {
        model.removeprefix("features_mahasiswa_"): connection.table(f"features.{model}")
        for model in case.features
    }
    with engine.opened() as on:
        rows = matured(on, connection.table(f"labels.label_{case.name}"), task, made.as_of)
        joined, found = training_set(on, rows, tables, task, connection)
    held = task.split(rows).validation
    frame = model_input.frame(joined, list(found.kinds))
    fitted = task.fit(frame, task.split(rows).train, rows, found.kinds)
    truth = planted_truth()
    marked = mark(rows.keys.to_pandas(), truth)

    later, asked = marked.iloc[held], frame.iloc[held][list(fitted.selection.features)]
    said = {OWN: fitted.model.answers(asked), ROBUST: fitted.model.baseline(asked)}
    clear = ~later["aside"].to_numpy()
    faulty = later["fault"].notna().to_numpy()[clear]
    precision = {
        name: anomaly_measures.average_precision(faulty, each["z"][clear])
        for name, each in said.items()
    }
    finding = Finding(
        case.name,
        f"{DEMO}, planted faults",
        int(clear.sum()),
        "average precision",
        precision[OWN],
        greater_is_better=True,
        baselines=(Baseline(ROBUST, precision[ROBUST], precision[OWN]),),
        note=f"{int(faulty.sum())} of the rows are of planted faults: chance is {faulty.mean():.3f}",
    )
    flagged = {name: each["flagged"] > 0 for name, each in said.items()}
    shares = " and ".join(f"{each.mean():.1%}" for each in flagged.values())
    share = float(task.own["flagged_share"])
    weekly = {name: bounded(later["cutoff"], each, share) for name, each in said.items()}
    where, listed = (
        f"{DEMO}, later quarter",
        f"on a week's list, of at most {share:.0%} of its rows",
    )
    faults = [
        *by_kind(case.name, where, later, flagged, f"flagged in any week, as {shares} of rows are"),
        *by_kind(case.name, where, later, weekly, listed),
    ]
    champion = registry.champion(case.name)
    if champion is not None:
        model, seen = champion.pipeline, frame[list(champion.features)]
        said = {OWN: model.answers(seen), ROBUST: model.baseline(seen)}
        weekly = {name: bounded(marked["cutoff"], each, share) for name, each in said.items()}
        words = f"{listed}, by version {champion.version}, which learned from them too"
        faults += by_kind(case.name, f"{DEMO}, all weeks", marked, weekly, words)
        now = connection.table(f"published.published_{case.output_table}").df()
        listed = now["is_anomaly"].to_numpy(dtype=bool)
        faults += by_kind(
            *(case.name, f"{DEMO}, published as of {made.as_of:%Y-%m-%d}"),
            *(mark(now.assign(cutoff=made.as_of), truth), {OWN: listed}),
            f"flagged, as {listed.sum()} of {len(now)} are",
        )
    return Measured([finding], faults)


def bounded(cutoffs: pd.Series, said: Mapping[str, Any], share: float) -> Any:
    """Which rows a build as of each cutoff would flag: of those flagged the most unusual, at most
    `share` of its rows, and one always may be.
    """
    rows = pd.DataFrame({"cutoff": cutoffs.to_numpy(), "z": said["z"]})
    rows.loc[said["flagged"] <= 0, "z"] = float("-inf")
    weeks = rows.groupby("cutoff")["z"]
    most = (share * weeks.transform("size")).astype(int).clip(lower=1)
    return (
        (weeks.rank(method="first", ascending=False) <= most) & (said["flagged"] > 0)
    ).to_numpy()


def planted_truth() -> pd.DataFrame:
    """What the demo's generator planted: `nim`, `kind`, `partner` of a proxy, `since`, `until`."""
    from ml.raw.demo.generate import generate

    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "faults.csv"
        generate(STUDENTS, SEED, Path(folder) / "raw", faults=told)
        return pd.read_csv(told, parse_dates=["since", "until"])


def mark(keys: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Of each row (nim, cutoff), in its order: `fault` (its number) and `kind` where at least half
    of a fault lies in the `WINDOW_DAYS` before the cutoff; `aside` where less of one does, or that
    of the student beside whom a proxy signed in: nothing in the data tells which of the two was there.
    """
    with duckdb.connect() as connection:
        connection.register("keys", keys[["nim", "cutoff"]].reset_index(drop=True).reset_index())
        connection.register("truth", truth.reset_index(drop=True).reset_index(names="fault"))
        return connection.execute(
            f"""
            with involved as (
                select nim, fault, kind, since, until, true as is_own from truth
                union all
                select partner, fault, kind, since, until, false from truth where partner is not null
            ),

            met as (
                select
                    keys.index, fault, kind, is_own,
                    (
                        epoch(least(until, cutoff))
                        - epoch(greatest(since, cutoff - interval {WINDOW_DAYS} day))
                    ) / epoch(until - since) as seen
                from keys
                inner join involved using (nim)
                where cutoff > since and cutoff - interval {WINDOW_DAYS} day < until
                qualify row_number() over (partition by keys.index order by is_own desc, seen desc, fault) = 1
            )

            select
                nim, cutoff,
                case when is_own and seen >= {HALF} then fault end as fault,
                case when is_own and seen >= {HALF} then kind end as kind,
                coalesce(not is_own or seen < {HALF}, false) as aside
            from keys
            left join met using (index)
            order by index
            """
        ).df()


def by_kind(
    use_case: str, data: str, marked: pd.DataFrame, flagged: Mapping[str, Any], counted: str
) -> list[Faults]:
    """How many of the faults in `marked` have a row that is flagged. `flagged`: of the detector, and
    of robust z where it was asked, in the order of `marked`.
    """
    rows = marked[["fault", "kind", "aside"]].assign(**flagged)
    planted = rows["fault"].notna().to_numpy()
    right = {
        name: float(planted[chosen].mean())
        if (chosen := rows[name] & ~rows["aside"]).any()
        else None
        for name in flagged
    }
    each = rows[planted].groupby("fault").agg({"kind": "first", **dict.fromkeys(flagged, "any")})
    return [
        Faults(
            *(use_case, data, str(kind), len(part), float(part[OWN].mean())),
            float(part[ROBUST].mean()) if ROBUST in flagged else None,
            counted,
            *((right[OWN], right.get(ROBUST)) if part is each else ()),
        )
        for kind, part in (("all faults", each), *each.groupby("kind"))
        if len(part)
    ]


# Use case -> what holds a build's answers against the faults that the generator planted.
PLANTED: dict[str, Callable[[duckdb.DuckDBPyConnection, Any, Any], Measured]] = {
    "attendance_anomaly": planted_attendance
}


def together(parts: Sequence[Measured]) -> Measured:
    """One of several."""
    return Measured(
        [finding for part in parts for finding in part.findings],
        [fault for part in parts for fault in part.faults],
        [reason for part in parts for reason in part.missing],
    )


def page(measured: Measured, seconds: float) -> str:
    """The page, and what is printed."""
    from ml.tasks.markdown import bullets, table

    beside = table(
        (
            *("use case", "data", "rows", "measure", "version", "baseline"),
            *("the baseline's", "version on the same rows", "better by"),
        ),
        [row for finding in measured.findings for row in _beside(finding)],
    )
    intervals = table(
        ("use case", "data", "promised", "coverage", "mean width"),
        [
            (
                *(one.use_case, one.data, f"{one.interval['promised']:.0%}"),
                *(f"{one.interval['coverage']:.1%}", f"{one.interval['width']:,.1f}"),
            )
            for one in measured.findings
            if one.interval
        ],
    )
    faults = table(
        (
            *("use case", "data", "kind", "planted", "found", "robust z finds"),
            *("of the flagged, planted", "of robust z's", "found means"),
        ),
        [
            (
                *(one.use_case, one.data, one.kind, f"{one.number:,}", f"{one.found:.0%}"),
                *map(_share, (one.baseline, one.right, one.baseline_right)),
                one.counted,
            )
            for one in measured.faults
        ],
    )
    notes = [f"`{one.use_case}`, {one.data}: {one.note}" for one in measured.findings if one.note]
    lost = worse(measured.findings)
    return f"""# How good the answers are

`make bench-insights` wrote this ({seconds:.0f} s). The demo university is `seeds/`, built anew in a home of its own; its figures are those
that training registered beside the newest version, of rows that the judged procedure had not seen. Real data is what lies in `$DATA`.
A demo is drawn from a random generator: its figures show that the machinery works, not what a university can expect.

## Beside the baselines

Better by: of an error, the share that goes; of a measure where more is better, the share of what the baseline leaves to 1.
*Version* is on all rows; a baseline that says nothing of some rows is compared on its own.

{beside}

{bullets(notes)}

Where a baseline is as good or better:

{bullets(lost) if lost else "- nowhere"}

## Intervals

{intervals}

## Planted faults

A row of the demo belongs to a fault where at least half of the fault lies in the {WINDOW_DAYS} days before its cutoff; rows with less of
one are neither right nor wrong, and so are those of the student beside whom a proxy signed in: the data do not tell which of the
two was there. A week's list has one row in fifty, so it cannot hold all faults of a week in which several lie, as they do at the
demo's end. There are few faults: one more or less of seven is 14 %.

{faults}

## Not measured

{bullets(measured.missing) if measured.missing else "Nothing is missing."}
"""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def worse(findings: Sequence[Finding]) -> list[str]:
    """A sentence for each baseline that is as good as the version, or better."""
    return [
        f"`{one.use_case}`, {one.data}: {each.name} is as good or better ({one.measure} {each.value:,.4g}, "
        f"the version {each.own:,.4g})"
        for one in findings
        for each in one.baselines
        if better_by(each, greater_is_better=one.greater_is_better) <= 0
    ]


def better_by(baseline: Baseline, *, greater_is_better: bool) -> float:
    """Skill: the share of the baseline's error, or of what it leaves to 1, that goes."""
    left, own = baseline.value, baseline.own
    if greater_is_better:
        left, own = 1 - left, 1 - own
    return (left - own) / left if left else 0.0


def _beside(finding: Finding) -> list[tuple[str, ...]]:
    head = (
        *(finding.use_case, finding.data, f"{finding.rows:,}"),
        *(finding.measure, f"**{finding.value:,.4g}**"),
    )
    if not finding.baselines:
        return [(*head, "-", "-", "-", "-")]
    return [
        (
            *(*head, each.name, f"{each.value:,.4g}", f"{each.own:,.4g}"),
            f"{better_by(each, greater_is_better=finding.greater_is_better):+.0%}",
        )
        for each in finding.baselines
    ]


def main() -> None:
    """Build, measure, write the page, and print it or the same as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--home", type=Path, help="of a build of the demo, instead of a new one")
    options = parser.parse_args()
    began = time.monotonic()
    data = Path(os.environ.get("DATA", PROJECT.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        home = options.home or Path(folder) / "home"
        if not options.home:
            print("Building the demo university …")
            build("--exclude-resource-type", "test", "unit_test", within=environment(home))
        os.environ["INSIGHTERA_HOME"] = str(home)
        measured = together([on_the_demo(), on_real_data(data)])
    text = page(measured, time.monotonic() - began)
    REPORT.write_text(text, encoding="utf-8")
    print(json.dumps(asdict(measured), indent=2) if options.json else text)


if __name__ == "__main__":
    main()
