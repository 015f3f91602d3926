"""Enrolment forecast on the University of Illinois' fall enrolment by major, 2009 to 2014.

`evaluate_uiuc(folder)`: at each fall from 2012 on the procedure learns what was known, and forecasts
the next fall; later falls judge. Features are what a feature table would hold: all of them are of
the cutoff's fall or before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.tasks import forecast_measures, splits
from ml.tasks.forecasting import Forecaster, Terms

LEVEL = 0.8
FIRST_JUDGED = 2012  # the first fall with two earlier falls whose truth was known
NUMBERS = ("last", "mean_3", "before_last", "growth", "trend", "parent_growth", "share", "falls")
BASELINES = {"last value": "last", "mean of 3": "mean_3", "drift": "trend"}
ESTIMATOR = "sklearn.ensemble.HistGradientBoostingRegressor"
GRID = {
    "max_leaf_nodes": [7],
    "min_samples_leaf": [20],
    "learning_rate": [0.05],
    "loss": ["squared_error", "absolute_error"],
}
SMALL = {  # ridge: some fifteen colleges of four falls are too few for trees
    "alpha": [10.0, 100.0, 1000.0],
}


@dataclass(frozen=True)
class Asked:
    """Rows of (entity, cutoff), whose target is the next fall."""

    frame: pd.DataFrame
    labels: np.ndarray
    cutoffs: np.ndarray
    matured: np.ndarray
    entities: np.ndarray


def evaluate_uiuc(folder: Path) -> list[dict[str, Any]]:
    """Rows of use case, measure, value, baseline (its name and value), coverage, width."""
    table = pd.read_parquet(folder / "enrolment.parquet")
    found = []
    for name, keys, estimator, grid in (
        ("enrolment by major", ["college", "major_code"], ESTIMATOR, GRID),
        ("enrolment by college", ["college"], "sklearn.linear_model.Ridge", SMALL),
    ):
        answers = judged(
            asked(table, keys), Terms(estimator, kinds(), BASELINES, grid, LEVEL, True)
        )
        measures = forecast_measures.measure(
            answers.truth, answers.value, answers.lower, answers.upper
        )
        found += [
            {
                "use_case": name,
                "measure": "mae",
                "value": measures["mae"],
                "baseline": f"{baseline.name}: {baseline.mae:.2f}",
                "skill": baseline.skill,
                "coverage": measures["coverage"],
                "width": measures["interval_width"],
                "rows": baseline.rows,
            }
            for baseline in forecast_measures.against(answers)
        ]
    return found


def kinds() -> dict[str, str]:
    """The features' kinds."""
    return dict.fromkeys(NUMBERS, "number")


def asked(table: pd.DataFrame, keys: Sequence[str]) -> Asked:
    """A row for each entity and fall that has a number, and one in the next fall."""
    totals = table.groupby([*keys, "year"], as_index=False)["total"].sum()
    parents = table.groupby(["college", "year"])["total"].sum()
    whole = table.groupby("year")["total"].sum()
    rows = [row for _, series in totals.groupby(list(keys)) for row in _rows(series)]
    frame = pd.DataFrame(rows)
    above = parents if len(keys) > 1 else whole
    places = [(row.college, row.year) if len(keys) > 1 else row.year for row in frame.itertuples()]
    before = [(p[0], p[1] - 1) if isinstance(p, tuple) else p - 1 for p in places]
    now, then = above.reindex(places).to_numpy(), above.reindex(before).to_numpy()
    frame["parent_growth"] = now / then - 1
    frame["share"] = frame["last"] / now
    years = frame["year"].to_numpy() - 1970
    cutoffs = years.astype("datetime64[Y]").astype("datetime64[us]")
    after = (years + 1).astype("datetime64[Y]").astype("datetime64[us]")
    entities = pd.util.hash_pandas_object(frame[list(keys)].agg("/".join, axis=1), index=False)
    return Asked(
        frame[list(NUMBERS)].astype(float),
        frame["label"].to_numpy(),
        cutoffs,
        after,
        entities.to_numpy(),
    )


def _rows(series: pd.DataFrame) -> Iterator[dict[str, Any]]:
    known = dict(zip(series["year"], series["total"], strict=True))
    for year, total in known.items():
        if year + 1 not in known:
            continue
        past = [known[each] for each in range(year - 2, year + 1) if each in known]
        before = known.get(year - 1, np.nan)
        yield {
            "college": series["college"].iloc[0],
            **({"major_code": series["major_code"].iloc[0]} if "major_code" in series else {}),
            "year": year,
            "label": known[year + 1],
            "last": total,
            "mean_3": float(np.mean(past)),
            "before_last": before,
            "growth": total / before - 1,
            "trend": total + (past[-1] - past[0]) / (len(past) - 1) if len(past) > 1 else total,
            "falls": len(past),
        }


def judged(rows: Asked, terms: Terms) -> forecast_measures.Answers:
    """At each origin: learn from what had matured, forecast the rows asked then; all together."""
    parts = []
    for origin in np.unique(rows.cutoffs):
        year = origin.astype("datetime64[Y]").astype(int) + 1970
        if year + 1 <= FIRST_JUDGED:
            continue
        learn = np.flatnonzero(rows.matured <= origin)
        held = np.flatnonzero(rows.cutoffs == origin)
        past = Asked(
            rows.frame.iloc[learn],
            rows.labels[learn],
            rows.cutoffs[learn],
            rows.matured[learn],
            rows.entities[learn],
        )
        try:
            model = Forecaster(terms).fit(past.frame, past.labels, past)
        except splits.TooLittleDataError as reason:
            print(f"{year}: {reason}")
            continue
        said = model.intervals(rows.frame.iloc[held])
        parts.append((held, said, model))
    held = np.concatenate([part[0] for part in parts])
    said = {
        name: np.concatenate([part[1][name] for part in parts])
        for name in ("value", "lower", "upper")
    }
    return forecast_measures.Answers(
        rows.labels[held],
        said["value"],
        said["lower"],
        said["upper"],
        {name: rows.frame[column].to_numpy()[held] for name, column in terms.baselines.items()},
    )
