"""The project's drift macros as SQL, without a dbt build: for `make bench-drift` and the tests."""

from collections.abc import Sequence

from ml.core.macros import rendered

MACROS = (
    "monitoring/value_points",
    "monitoring/drift",
    "engine/drift_points",
    "engine/counted_points",
    "engine/some_rows",
    "engine/few_values",
)


def drift_query(
    reference: str,
    current: str,
    numbers: Sequence[str],
    categories: Sequence[str] = (),
    engine: str = "duckdb",
    points: str = "drift_points",
) -> str:
    """PSI and KS of each column of the relation `current` against `reference`: the SQL that the
    model `monitor_drift` runs on an engine. `points`: the macro that counts values, `drift_points`
    (against training) or `counted_points` (against last year).
    """
    macros = rendered(engine, *MACROS)
    counted = getattr(macros, points)(reference, current, list(numbers), list(categories))
    measured = macros.drift("points", ["feature_name"])
    return f"with points as ({counted}), measured as ({measured}) select * from measured"
