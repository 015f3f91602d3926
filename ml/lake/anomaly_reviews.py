"""What people said of anomalies: rows of their own, appended; a detection is never changed.

A review is one row of `ml.anomaly_reviews`. Who thinks again reviews again: the latest counts, and
the earlier ones stay.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.compute

from ml import lake
from ml.core import memory
from ml.core.errors import InsighteraError
from ml.core.sql import identifiers
from ml.lake import prediction_tables

REVIEWS = "anomaly_reviews"
VERDICTS = ("confirmed", "false_alarm")
OPEN = "open"  # flagged, and nobody has said anything yet
STATUSES = (OPEN, *VERDICTS, "all")
ID, FLAG = "anomaly_id", "is_anomaly"
INSTANT = timedelta(microseconds=1)
REVIEW = pa.schema(
    [
        ("review_id", pa.string()),
        ("anomaly_id", pa.string()),
        ("use_case", pa.string()),
        ("verdict", pa.string()),  # confirmed | false_alarm
        ("reason", pa.string()),
        ("reviewed_by", pa.string()),
        ("reviewed_at", pa.timestamp("us")),  # UTC
    ]
)

_FLAGGED = pa.schema(
    [
        ("anomaly_id", pa.string()),
        ("use_case", pa.string()),
        ("model_version", pa.string()),
        ("entity", pa.string()),
        ("domain", pa.string()),
        ("anomaly_type", pa.string()),
        ("severity", pa.string()),
        ("anomaly_score", pa.float64()),
        ("z_score", pa.float64()),
        ("explanation", pa.string()),
        ("prediction_timestamp", pa.timestamp("us")),
    ]
)


def tables() -> list[str]:
    """The prediction tables that hold anomalies and have something published."""
    return [
        name
        for name in prediction_tables.tables()
        if {ID, FLAG} <= set(lake.schema(name).names) and lake.head(name) is not None
    ]


def detected(use_case: str = "", status: str = "all", as_of: datetime | None = None) -> pa.Table:
    """Every anomaly ever flagged, as the latest build that flagged it says, and its review.

    Columns: `anomaly_id`, `use_case`, `model_version`, `entity` (its keys, `/` between them), `domain`,
    `anomaly_type`, `severity`, `anomaly_score`, `z_score`, `explanation`, `prediction_timestamp`,
    `status` (open, confirmed, false_alarm), `reason`, `reviewed_by`, `reviewed_at`. The open ones
    first, then by score. Raises InsighteraError for a use case or a status that there is not.
    """
    if status not in STATUSES:
        raise InsighteraError(f"No status {status!r}. Use one of {', '.join(STATUSES)}.")
    parts = [_flagged(table, as_of) for table in tables()]
    with memory.connect() as connection:
        connection.register("flagged", pa.concat_tables([_FLAGGED.empty_table(), *parts]))
        connection.register("reviews", reviews(as_of))
        found = connection.execute(
            """
            with latest as (
                select * from reviews
                qualify row_number() over (
                    partition by anomaly_id order by reviewed_at desc, review_id desc
                ) = 1
            )

            select
                flagged.*,
                coalesce(latest.verdict, 'open') as status,
                latest.reason,
                latest.reviewed_by,
                latest.reviewed_at
            from flagged
            left join latest on flagged.anomaly_id = latest.anomaly_id
            where $use_case in ('', flagged.use_case)
            and $status in ('all', coalesce(latest.verdict, 'open'))
            order by latest.verdict is not null, anomaly_score desc, prediction_timestamp desc,
                flagged.anomaly_id
            """,
            {"use_case": use_case, "status": status},
        ).to_arrow_table()
        if use_case and not found.num_rows:
            _check_use_case(use_case, parts)
        return found


def reviews(as_of: datetime | None = None) -> pa.Table:
    """Every review, also those superseded; up to an instant (naive UTC)."""
    if not lake.exists(REVIEWS) or lake.head(REVIEWS) is None:
        return REVIEW.empty_table()
    until = {"at_most": {"reviewed_at": as_of}} if as_of else {}
    return lake.read_table(REVIEWS, **until).cast(REVIEW)


def counts(use_case: str, as_of: datetime | None = None) -> tuple[int, int]:
    """How many of a use case's anomalies are confirmed and how many a false alarm, by the latest
    review of each.
    """
    latest: dict[str, tuple[datetime, str, str]] = {}
    for row in reviews(as_of).to_pylist():
        if row["use_case"] == use_case:
            said = (row["reviewed_at"], row["review_id"], row["verdict"])
            latest[row[ID]] = max(said, latest.get(row[ID], said))
    verdicts = [verdict for *_, verdict in latest.values()]
    return verdicts.count("confirmed"), verdicts.count("false_alarm")


def of(anomaly: str) -> tuple[pa.Table, pa.Table]:
    """An anomaly, by its id or the beginning of one, and all its reviews, oldest first.

    Raises InsighteraError where no flagged row, or more than one, has such an id.
    """
    wanted = anomaly.strip().lower()
    rows = detected()
    ids = rows[ID].to_pylist()
    matching = [position for position, each in enumerate(ids) if wanted and each.startswith(wanted)]
    if not matching:
        raise InsighteraError(
            f"No anomaly {anomaly!r}. `insightera anomalies list --status all` lists those there "
            "are."
        )
    if len({ids[position] for position in matching}) > 1:
        raise InsighteraError(
            f"{len(matching)} anomalies begin with {anomaly!r}. Write more of the id."
        )
    found = rows.slice(matching[0], 1)
    written = reviews()
    own = written.filter(pa.compute.equal(written[ID], ids[matching[0]]))
    return found, own.sort_by([("reviewed_at", "ascending"), ("review_id", "ascending")])


def resolve(anomaly: str, verdict: str, reason: str) -> str:
    """Write a review of a flagged anomaly; its whole id. The detection stays as it is.

    Two people who review at once both land; the later counts. Raises InsighteraError for an unknown
    id or verdict, or without a reason.
    """
    if verdict not in VERDICTS:
        raise InsighteraError(f"No verdict {verdict!r}. Use one of {', '.join(VERDICTS)}.")
    if not reason.strip():
        raise InsighteraError("A review needs a reason: the next person wants to know why.")
    found, _ = of(anomaly)
    row = found.to_pylist()[0]
    review = {
        "review_id": uuid.uuid4().hex,
        "anomaly_id": row[ID],
        "use_case": row["use_case"],
        "verdict": verdict,
        "reason": reason.strip(),
        "reviewed_by": lake.user(),
    }
    _append(review)
    return str(row[ID])


def _append(review: Mapping[str, str]) -> None:
    lake.ensure(REVIEWS, REVIEW, properties=lake.NO_RETRIES)

    def missing(written: pa.Table) -> pa.Table:
        # stamped as it is written, so that who comes second is later
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        latest = max(written["reviewed_at"].to_pylist(), default=now - INSTANT)
        stamped = {**review, "reviewed_at": max(now, latest + INSTANT)}
        known = review["review_id"] in written["review_id"].to_pylist()
        return pa.Table.from_pylist([] if known else [stamped], schema=REVIEW)

    # the reason may name people: it is in the table alone, never in a snapshot's summary
    lake.append_once(REVIEWS, missing, {"git-commit": lake.git_commit(), "user": lake.user()})


def _flagged(table: str, as_of: datetime | None) -> pa.Table:
    """Of each anomaly of a prediction table the latest row that flagged it."""
    keys = prediction_tables.entity_keys(table)
    until = {"at_most": {"prediction_timestamp": as_of}} if as_of else {}
    with memory.connect() as connection:
        connection.register("predictions", lake.read_table(table, equal={FLAG: True}, **until))
        found = connection.execute(
            f"""
            select
                anomaly_id,
                model_name as use_case,
                model_version,
                concat_ws('/', {identifiers(keys)}) as entity,
                domain, anomaly_type, severity, anomaly_score, z_score, explanation,
                prediction_timestamp
            from predictions
            qualify row_number() over (
                partition by anomaly_id order by {prediction_tables.LATEST} desc
            ) = 1
            """  # noqa: S608
        ).to_arrow_table()
        return found.cast(_FLAGGED)


def _check_use_case(use_case: str, parts: Iterable[pa.Table]) -> None:
    known = sorted({name for part in parts for name in part["use_case"].to_pylist()})
    if use_case not in known:
        raise InsighteraError(
            f"No use case {use_case!r} has flagged anything. Those that have: "
            f"{', '.join(known) or 'none'}."
        )
