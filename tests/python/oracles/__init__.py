"""What every feature is, by its definition, in plain pandas; and how a feature table is held to it.

A file per entity, named as its folder below `models/features/`, with a class `Oracle`: made of the `Extracts`, with a
method for each feature table, named as the table, which takes the entity's key (an argument per column) and a day, and
gives each feature's value from that midnight on as {feature: value}, None or NaN where it is not known. `TOLERANCES`
says by how much a feature may differ that its SQL rounds. No other place lists the tables.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from ml.core.settings import PROJECT

FEATURES = PROJECT / "models" / "features"
ENTITIES, DAYS = 25, 6  # as many random entities, and days of each, are asked of an oracle


@dataclass(frozen=True)
class FeatureTable:
    """A feature table as its YAML describes it."""

    name: str
    entity: str  # its folder
    keys: tuple[str, ...]
    features: tuple[str, ...]
    takes_late_rows: bool

    @classmethod
    def read(cls, sql: Path) -> "FeatureTable":
        """From the YAML beside a model's SQL."""
        (model,) = yaml.safe_load(sql.with_suffix(".yml").read_text())["models"]
        settings = model["config"]["meta"]["feature_table"]
        columns = [column["name"] for column in model["columns"]]
        return cls(
            sql.stem,
            sql.parent.name,
            tuple(settings["entity_keys"]),
            tuple(name for name in columns if name not in settings["entity_keys"]),
            any(each.get("late_rows") != "ignored" for each in settings["inputs"]),
        )


TABLES = tuple(map(FeatureTable.read, sorted(FEATURES.glob("*/*.sql"))))


@dataclass(frozen=True)
class Extracts:
    """A raw folder as a build as of `until` sees it."""

    raw: Path
    until: datetime

    @cache  # noqa: B019 - as long as the tests that share it
    def table(self, name: str) -> pd.DataFrame:
        """Rows of `<source>/<table>` that the lake had by then."""
        rows = pd.read_parquet(self.raw / f"{name}.parquet")
        return rows[rows["loaded_at" if "loaded_at" in rows else "recorded_at"] < self.until]


def window(rows: pd.DataFrame, day: datetime, days: int) -> pd.DataFrame:
    """Rows recorded in the `days` days before `day`."""
    return rows[(rows.recorded_at < day) & (rows.recorded_at >= day - timedelta(days=days))]


def ratio(part: float, whole: float) -> float:
    """NaN where there is no whole."""
    return part / whole if whole else nan


def class_of(entity: str) -> type | None:
    """The class `Oracle` of an entity's file; None where there is none."""
    module = f"oracles.{entity}"
    return getattr(import_module(module), "Oracle", None) if find_spec(module) else None


def oracle_of(table: FeatureTable, extracts: Extracts) -> Any:
    """The oracle of a table's entity, which answers for the table."""
    kind = class_of(table.entity)
    assert hasattr(kind, table.name), (
        f"{table.name} has no oracle. Write one: in tests/python/oracles/{table.entity}.py, in the "
        f"class `Oracle`, a method `{table.name}(self, {', '.join(table.keys)}, day)` which gives "
        f"{', '.join(table.features)} by definition, in plain pandas, from rows recorded before "
        "that day (docs/features.md)."
    )
    return kind(extracts)


def assert_varies(table: FeatureTable, versions: pd.DataFrame) -> None:
    """Each feature takes two values at least: what is the same everywhere agrees with any oracle."""
    alike = [name for name in table.features if versions[name].nunique() < 2]
    assert not alike, (
        f"{table.name}: {', '.join(alike)} has one value, or none, in the test data, so that no "
        "oracle shows anything of it. Have the fixture `late_raw` (tests/python/conftest.py) make "
        "raw rows that move it."
    )


def assert_agrees(
    oracle: Any, table: FeatureTable, versions: pd.DataFrame, until: datetime
) -> None:
    """The versions believed are what the oracle says: of random entities on random days, and where
    each feature is least, greatest and not known.
    """
    answer: Callable[..., dict[str, Any]] = getattr(oracle, table.name)
    tolerances = getattr(oracle, "TOLERANCES", {})
    for version, day in _sampled(table, versions, until):
        key = [version[name] for name in table.keys]
        wanted = answer(*key, day)
        forgotten = set(table.features) - set(wanted)
        unknown = set(wanted) - set(table.features)
        assert not forgotten | unknown, (
            f"{table.name}: its oracle must say every feature. It forgets "
            f"{', '.join(sorted(forgotten)) or 'none'}; no features are "
            f"{', '.join(sorted(unknown)) or 'none'}."
        )
        for name, expected in wanted.items():
            _assert_same(
                value_at(version, name, day),
                expected,
                tolerances.get(name, 1e-8),
                (table.name, *key, day, name),
            )


def value_at(version: pd.Series, name: str, day: datetime) -> Any:
    """What a version says of a feature on a day on which it holds: of what counts days, those until then."""
    since = version.get(f"{name}__since")
    return version[name] if pd.isna(since) else (day - since).days


def _assert_same(actual: Any, expected: Any, tolerance: float, where: tuple) -> None:
    if expected is None or pd.isna(expected):
        assert pd.isna(actual), (where, actual)
    elif isinstance(expected, str):
        assert actual == expected, where
    else:
        assert actual == pytest.approx(expected, abs=tolerance), where


def _sampled(
    table: FeatureTable, versions: pd.DataFrame, until: datetime
) -> Iterator[tuple[pd.Series, datetime]]:
    """Versions, each with a day on which it held."""
    generator = random.Random(11)
    entities = [entity for _, entity in versions.groupby(list(table.keys))]
    for entity in generator.sample(entities, min(ENTITIES, len(entities))):
        first = entity.valid_from.min()
        for _ in range(DAYS):
            day = first + timedelta(days=generator.randint(0, max((until - first).days, 0)))
            held = entity[(entity.valid_from <= day) & (entity.valid_to > day)]
            yield held.iloc[0], day.to_pydatetime()
    for name in table.features:
        known = versions[name].dropna().sort_values(kind="stable").index
        missing = versions.index[versions[name].isna()]
        for index in {*known[:1], *known[-1:], *missing[:1]}:
            yield versions.loc[index], versions.valid_from[index].to_pydatetime()
