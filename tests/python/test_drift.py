"""PSI and KS as the macros compute them are those of NumPy and SciPy, to 1e-9."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from benchmarks.drift_sql import drift_query

TOLERANCE = 1e-9


def psi(reference: pd.Series, current: pd.Series) -> float:
    """docs/monitoring.md in NumPy: the deciles by `np.quantile`, the bins by `searchsorted`."""
    if reference.dtype == object:
        bins = [series.fillna("NULL").to_numpy() for series in (reference, current)]
    else:
        held = reference.dropna().to_numpy()
        edges = [np.nextafter(held.min(), -np.inf)] if len(held) else []
        if len(held):
            edges += np.quantile(held, np.arange(1, 11) / 10, method="inverted_cdf").tolist()
        edges = np.unique(edges)
        bins = [
            np.where(series.isna(), -1, np.searchsorted(edges, series, side="left"))
            for series in (reference, current)
        ]
    names = np.unique(np.concatenate(bins))
    shares = []
    for side in bins:
        counts = np.array([(side == name).sum() for name in names])
        shares.append((counts + 0.5) / (len(side) + 0.5 * len(names)))
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def measured(
    reference: pd.DataFrame, current: pd.DataFrame, points: str = "drift_points"
) -> pd.DataFrame:
    """What the macros say, by feature; `points`: the macro that counts values."""
    categories = [name for name in reference if reference[name].dtype == object]
    numbers = [name for name in reference if name not in categories]
    with duckdb.connect() as connection:
        for name, frame in (("old", reference), ("new", current)):
            columns = ", ".join(
                f"cast({c} as varchar) as {c}"
                if c in categories
                else f"if(isnan({c}), null, {c}) as {c}"
                for c in reference
            )
            connection.register("frame", frame)
            connection.execute(f"create table {name} as select {columns} from frame")
            connection.unregister("frame")
        connection.execute(
            f"create table drift as {drift_query('old', 'new', numbers, categories, points=points)}"
        )
        return connection.table("drift").df().set_index("feature_name")


def samples(kind: str, rows: int, seed: int, moved: float) -> pd.Series:
    random = np.random.default_rng(seed)
    values = {
        "continuous": lambda: random.normal(moved, 1, rows),
        "skewed": lambda: np.exp(random.normal(moved, 3, rows)),
        "ties": lambda: np.round(random.normal(moved, 1, rows), 1),
        "flag": lambda: (random.random(rows) < 0.3 + moved).astype(float),
        "constant": lambda: np.full(rows, 7.0),
        "constant_that_moves": lambda: np.full(rows, 7.0 - moved),
        "beyond": lambda: random.random(rows) + np.where(random.random(rows) < 0.1, 10 * moved, 0),
        "nulls": lambda: np.where(random.random(rows) < 0.3 + moved, np.nan, random.random(rows)),
        "all_null": lambda: np.full(rows, np.nan),
        "null_before": lambda: np.full(rows, np.nan) if moved == 0 else random.random(rows),
        "null_now": lambda: np.full(rows, np.nan) if moved else random.random(rows),
        "not_finite": lambda: random.choice([np.inf, -np.inf, np.nan, 1.0, 2.0, 3.0], rows),
        "far": lambda: np.where(
            random.random(rows) < 0.1 + moved,
            random.choice([1e300, -1e300, 2e300], rows),
            random.normal(moved, 1, rows),
        ),
        "other_unit": lambda: random.normal(5, 1, rows) * (1e9 if moved else 1),
        "denormal": lambda: np.round(random.normal(moved, 10, rows)) * 5e-324,
        "rare": lambda: np.where(random.random(rows) < 0.01, random.normal(moved, 1, rows), 0.0),
        "close": lambda: 1e9 + random.integers(0, 3, rows) * 2.0**-23,
        "category": lambda: random.choice(
            np.array(["a", "b", "c'd", None], dtype=object),
            rows,
            p=[0.4, 0.3 - moved, 0.2, 0.1 + moved],
        ),
        "new_category": lambda: random.choice(
            np.array(["x", "y" if moved else "x"], dtype=object), rows
        ),
    }
    return pd.Series(values[kind]())


KINDS = (
    "continuous",
    "skewed",
    "ties",
    "flag",
    "constant",
    "constant_that_moves",
    "beyond",
    "nulls",
    "all_null",
    "null_before",
    "null_now",
    "not_finite",
    "far",
    "other_unit",
    "denormal",
    "rare",
    "close",
    "category",
    "new_category",
)


@pytest.mark.parametrize(("old_rows", "new_rows"), [(20_000, 31_000), (500, 61), (7, 1)])
@pytest.mark.parametrize("moved", [0.0, 0.1])
@pytest.mark.parametrize("points", ["drift_points", "counted_points"])
def test_drift_is_that_of_numpy_and_scipy(
    old_rows: int, new_rows: int, moved: float, points: str
) -> None:
    reference = pd.DataFrame({kind: samples(kind, old_rows, 1, 0.0) for kind in KINDS})
    current = pd.DataFrame({kind: samples(kind, new_rows, 2, moved) for kind in KINDS})
    found = measured(reference, current, points)
    assert set(found.index) == set(KINDS)
    for kind in KINDS:
        row = found.loc[kind]
        old, new = (
            sample[kind].replace([np.inf, -np.inf], np.nan) for sample in (reference, current)
        )
        assert row["psi"] == pytest.approx(psi(old, new), abs=TOLERANCE), kind
        assert row["reference_null_share"] == pytest.approx(old.isna().mean()), kind
        if old.dtype == object or old.isna().all() or new.isna().all():
            assert pd.isna(row["ks"]), kind
        else:
            wanted = ks_2samp(old.dropna(), new.dropna()).statistic
            assert row["ks"] == pytest.approx(wanted, abs=TOLERANCE), kind


def test_chance_alone_hardly_exceeds_the_noise() -> None:
    """Samples of one distribution stay below `psi_noise`; a moved one does not."""
    reference = pd.DataFrame({f"f{i}": samples("continuous", 3000, i, 0.0) for i in range(40)})
    same = pd.DataFrame({f"f{i}": samples("continuous", 2000, 100 + i, 0.0) for i in range(40)})
    moved = same + 0.5
    found = measured(reference, same)
    assert (found["psi"] > found["psi_noise"]).sum() <= 2
    found = measured(reference, moved)
    assert (found["psi"] > found["psi_noise"]).all()


def test_a_source_that_stops_is_no_chance_however_few_the_entities() -> None:
    """Among three entities PSI says nothing; that none has a value any more is beyond chance."""
    reference = pd.DataFrame({"a": samples("continuous", 200, 1, 0.0)})
    current = pd.DataFrame({"a": [np.nan] * 3})
    row = measured(reference, current).loc["a"]
    assert row["psi"] < row["psi_noise"]
    assert row["current_null_share"] - row["reference_null_share"] > row["null_share_noise"]


def test_chance_alone_hardly_exceeds_the_noise_of_what_is_missing() -> None:
    reference = pd.DataFrame({f"f{i}": samples("nulls", 3000, i, 0.0) for i in range(40)})
    same = pd.DataFrame({f"f{i}": samples("nulls", 2000, 100 + i, 0.0) for i in range(40)})
    moved = pd.DataFrame({f"f{i}": samples("nulls", 2000, 100 + i, 0.1) for i in range(40)})
    beyond = []
    for current in (same, moved):
        found = measured(reference, current)
        change = (found["current_null_share"] - found["reference_null_share"]).abs()
        beyond.append((change > found["null_share_noise"]).sum())
    assert beyond[0] <= 2
    assert beyond[1] == 40


def test_a_sample_without_rows_gives_null() -> None:
    reference = pd.DataFrame({"a": [1.0, 2.0]})
    found = measured(reference, reference.iloc[:0])
    assert found.loc["a", "reference_rows"] == 2
    assert pd.isna(found.loc["a", "psi"])
    assert pd.isna(found.loc["a", "ks"])
