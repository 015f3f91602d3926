"""The project's drift macros as SQL, without a dbt build: for `make bench-drift` and the tests."""

from collections.abc import Sequence

from ml.core.macros import rendered

MACROS = (
    "monitoring/value_points",
    "monitoring/drift",
    "engine/drift_points",
    "engine/some_rows",
    "engine/few_values",
)


def drift_query(
    reference: str,
    current: str,
    numbers: Sequence[str],
    categories: Sequence[str] = (),
    engine: str = "duckdb",
) -> str:
    """PSI and KS of each column of the relation `current` against `reference`: the SQL that the
    model `monitor_drift` runs on an engine.
    """
    macros = rendered(engine, *MACROS)
    points = macros.drift_points(reference, current, list(numbers), list(categories))
    measured = macros.drift("points", ["feature_name"])
    return f"with points as ({points}), measured as ({measured}) select * from measured"
