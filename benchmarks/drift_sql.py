"""The project's drift macros as DuckDB's SQL, without a dbt build: for `make bench-drift` and the tests."""

from collections.abc import Sequence
from types import SimpleNamespace

import jinja2

from ml.settings import PROJECT

MACROS = ("monitoring/value_points", "monitoring/drift", "engine/some_rows", "engine/few_values")


def drift_query(
    reference: str, current: str, numbers: Sequence[str], categories: Sequence[str] = ()
) -> str:
    """PSI and KS of each column of the relation `current` against `reference`: the SQL that the
    model `monitor_drift` runs.
    """
    source = "\n".join(
        (PROJECT / f"macros/{name}.sql").read_text(encoding="utf-8") for name in MACROS
    )
    environment = jinja2.Environment(autoescape=False, extensions=["jinja2.ext.do"])
    macros = environment.from_string(
        source,
        globals={
            "adapter": SimpleNamespace(quote=lambda name: f'"{name}"'),
            "dbt": SimpleNamespace(type_string=lambda: "varchar"),
            "return": lambda value: value,
        },
    ).module
    points = macros.value_points(reference, current, list(numbers), list(categories))  # type: ignore[attr-defined]
    return f"with points as ({points}), measured as ({macros.drift('points', ['feature_name'])}) from measured"  # type: ignore[attr-defined]
