"""How often a flag is right, by what people said of it."""

from collections import Counter
from typing import Any

import pyarrow as pa

from ml.core.use_case import Build
from ml.lake import anomaly_reviews
from ml.tasks.rates import reviewed

REVIEWED = pa.schema(
    [
        ("use_case", pa.string()),
        ("model_version", pa.string()),  # that flagged them
        ("reviews", pa.int64()),
        ("confirmed", pa.int64()),
        ("precision_reviewed", pa.float64()),  # null below `ENOUGH_REVIEWS`, as its interval
        ("precision_reviewed_lower", pa.float64()),
        ("precision_reviewed_upper", pa.float64()),
    ]
)


def reviews(*, build: Any) -> pa.Table:
    """What had been said by the build's `as_of` of anomalies flagged by then (`REVIEWED`): of each
    version whose flagged rows somebody reviewed, how many were confirmed.

    An anomaly is of the version that flagged it last; its latest review counts.
    """
    run = Build.read(build)
    if not anomaly_reviews.reviews(run.as_of).num_rows:
        return REVIEWED.empty_table()
    said: dict[tuple[str, str], Counter[str]] = {}
    for row in anomaly_reviews.detected(as_of=run.as_of).to_pylist():
        if row["status"] != anomaly_reviews.OPEN and row["use_case"] in run.use_cases:
            said.setdefault((row["use_case"], row["model_version"]), Counter())[row["status"]] += 1
    rows = []
    for (use_case, version), verdicts in sorted(said.items()):
        found = reviewed(*(verdicts[verdict] for verdict in anomaly_reviews.VERDICTS))
        low, high = found.interval or (None, None)
        rows.append((use_case, version, found.reviews, found.confirmed, found.precision, low, high))
    return pa.Table.from_pylist(
        [dict(zip(REVIEWED.names, row, strict=True)) for row in rows], schema=REVIEWED
    )
