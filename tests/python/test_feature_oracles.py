"""The oracles are held to the feature tables: none is missing, none forgets a feature, none is asked of what never varies."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import oracles
import pandas as pd
import pytest
from conftest import PROJECT
from oracles import TABLES, Extracts, FeatureTable

KEYED = FeatureTable(
    "features_prodi_size", "prodi", ("kode_prodi", "jenjang"), ("size", "trend"), True
)
UNTIL = datetime(2024, 1, 20)
VERSIONS = pd.DataFrame(
    {
        "kode_prodi": ["a", "a", "b"],
        "jenjang": ["S1", "S1", "S1"],
        "size": [1.0, 2.0, float("nan")],
        "trend": ["up", "down", None],
        "valid_from": [datetime(2024, 1, 1), datetime(2024, 1, 3), datetime(2024, 1, 2)],
        "valid_to": [datetime(2024, 1, 3), datetime(9999, 12, 31), datetime(9999, 12, 31)],
    }
)


class Oracle:
    """Of KEYED."""

    def features_prodi_size(self, kode_prodi: str, jenjang: str, day: datetime) -> dict[str, Any]:
        assert jenjang == "S1"
        if kode_prodi == "b":
            return {"size": None, "trend": None}
        late = day >= datetime(2024, 1, 3)
        return {"size": 2 if late else 1, "trend": "down" if late else "up"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_feature_table_has_an_oracle(table: FeatureTable) -> None:
    assert hasattr(oracles.class_of(table.entity), table.name), table.name


def test_every_oracle_has_a_feature_table() -> None:
    """A table that was renamed must not leave its oracle behind, as if it were tested."""
    names = {table.name for table in TABLES}
    assert names == {path.stem for path in PROJECT.glob("models/features/**/*.sql")}
    for path in Path(oracles.__file__).parent.glob("[!_]*.py"):
        methods = {name for name in vars(oracles.class_of(path.stem)) if name.startswith("feat")}
        assert methods, path.name
        assert methods <= names, path.name


@pytest.mark.parametrize("entity", ["mahasiswa", "nobody"])
def test_a_table_without_oracle_is_told_what_to_write_and_where(
    entity: str, tmp_path: Path
) -> None:
    table = replace(KEYED, entity=entity)
    with pytest.raises(AssertionError, match="has no oracle") as error:
        oracles.oracle_of(table, Extracts(tmp_path, UNTIL))
    assert f"tests/python/oracles/{entity}.py" in str(error.value)
    assert "`features_prodi_size(self, kode_prodi, jenjang, day)`" in str(error.value)


def test_an_oracle_of_several_keys_agrees() -> None:
    oracles.assert_varies(KEYED, VERSIONS)
    oracles.assert_agrees(Oracle(), KEYED, VERSIONS, UNTIL)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda wanted: {"size": wanted["size"]}, "It forgets trend;"),
        (lambda wanted: wanted | {"growth": 1}, "no features are growth."),
        (lambda wanted: wanted | {"size": None}, "'size'"),
        (lambda wanted: wanted | {"size": (wanted["size"] or 0) + 1e-6}, "'size'"),
        (lambda wanted: wanted | {"trend": "up"}, "'trend'"),
    ],
)
def test_an_oracle_that_forgets_or_differs_fails(change: Any, said: str) -> None:
    class Wrong(Oracle):
        def features_prodi_size(self, *key: Any) -> dict[str, Any]:
            return change(super().features_prodi_size(*key))

    with pytest.raises(AssertionError) as error:
        oracles.assert_agrees(Wrong(), KEYED, VERSIONS, UNTIL)
    assert said in str(error.value)


def test_what_is_rounded_may_differ_by_what_the_oracle_says() -> None:
    class Rounded(Oracle):
        TOLERANCES = {"size": 0.1}  # noqa: RUF012

        def features_prodi_size(self, *key: Any) -> dict[str, Any]:
            wanted = super().features_prodi_size(*key)
            return wanted | {"size": wanted["size"] and wanted["size"] + 0.05}

    oracles.assert_agrees(Rounded(), KEYED, VERSIONS, UNTIL)


@pytest.mark.parametrize("values", [1.0, None, [1.0, 1.0, None]])
def test_a_feature_that_never_varies_fails(values: Any) -> None:
    with pytest.raises(AssertionError, match="size has one value, or none") as error:
        oracles.assert_varies(KEYED, VERSIONS.assign(size=values))
    assert "late_raw" in str(error.value)


def test_each_feature_is_met_where_it_is_least_greatest_and_not_known() -> None:
    """However rare such a version is among many entities."""
    size = [5.0] * 900
    size[700], size[701], size[702] = 1.0, 9.0, float("nan")
    names = [f"p{number:03}" for number in range(900)]
    many = pd.DataFrame({"kode_prodi": names, "jenjang": "S1", "size": size, "trend": "up"})
    many = many.assign(valid_from=datetime(2024, 1, 1), valid_to=datetime(9999, 12, 31))
    met = []

    class Recording:
        def features_prodi_size(self, kode_prodi: str, _: str, __: datetime) -> dict[str, Any]:
            met.append(kode_prodi)
            return {"size": size[names.index(kode_prodi)], "trend": "up"}

    oracles.assert_agrees(Recording(), KEYED, many, UNTIL)
    assert {"p700", "p701", "p702"} <= set(met)
