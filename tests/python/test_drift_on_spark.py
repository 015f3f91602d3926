"""PSI and KS on Spark are those of NumPy and SciPy too, for every kind of column that DuckDB is tried on."""

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from scipy.stats import ks_2samp
from test_drift import KINDS, TOLERANCE, drift_query, psi, samples

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.spark]


def test_drift_is_that_of_numpy_and_scipy(spark_session: "SparkSession") -> None:
    reference = pd.DataFrame({kind: samples(kind, 2000, 1, 0.0) for kind in KINDS})
    current = pd.DataFrame({kind: samples(kind, 300, 2, 0.1) for kind in KINDS})
    categories = [kind for kind in KINDS if reference[kind].dtype == object]
    for name, frame in (("old", reference), ("new", current)):
        spark_session.createDataFrame(frame).createOrReplaceTempView(name)
    numbers = [kind for kind in KINDS if kind not in categories]
    found = (
        spark_session.sql(drift_query("old", "new", numbers, categories, "spark"))
        .toPandas()
        .set_index("feature_name")
    )
    assert set(found.index) == set(KINDS)
    for kind in KINDS:
        row, old, new = found.loc[kind], reference[kind], current[kind]
        if kind in numbers:
            old, new = (side.where(side.abs() < float("inf")) for side in (old, new))
        assert row["psi"] == pytest.approx(psi(old, new), abs=TOLERANCE), kind
        assert row["reference_null_share"] == pytest.approx(old.isna().mean()), kind
        assert row["current_rows"] == 300, kind
        if kind in categories or old.isna().all() or new.isna().all():
            assert pd.isna(row["ks"]), kind
        else:
            wanted = ks_2samp(old.dropna(), new.dropna()).statistic
            assert row["ks"] == pytest.approx(wanted, abs=TOLERANCE), kind


def test_without_a_champion_there_are_no_points(spark_session: "SparkSession") -> None:
    """Nothing to watch is a query of no rows, not one that Spark refuses."""
    assert spark_session.sql(drift_query("old", "new", [], [], "spark")).count() == 0
