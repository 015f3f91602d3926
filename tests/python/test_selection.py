"""Which columns may be learned from, and which are chosen."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from longitudinal import META, PROTECTED

from ml.core.errors import InsighteraError
from ml.core.use_case import UseCase
from ml.features import Reading
from ml.tasks import selection


def use_case(**changes: Any) -> UseCase:
    return UseCase.of("student_dropout", {**META, **changes}, tuple(PROTECTED))


def schema(**types: pa.DataType) -> pa.Schema:
    held = {"nim": pa.string(), "cutoff": pa.timestamp("us"), "gpa_cumulative": pa.float64()}
    return pa.schema({**held, "submitted_share": pa.float64(), **types})


def candidates(case: UseCase, **types: pa.DataType) -> selection.Candidates:
    """Columns with the prefix of a table or a side are that table's under their own name."""
    held: dict[str, dict[str, str]] = {}
    for name in types:
        prefix, _, column = name.rpartition("__")
        held.setdefault(prefix, {})[column] = name
    read = [Reading(table, "", {}, columns) for table, columns in held.items()]
    return selection.candidates(schema(**types), ["nim", "cutoff"], read, case)


def test_system_columns_keys_and_protected_attributes_are_no_candidates():
    found = candidates(
        use_case(),
        valid_from=pa.timestamp("us"),
        academic__feature_hash=pa.string(),
        feature_timestamp=pa.timestamp("us"),
        demographic__system_to=pa.timestamp("us"),
        jenis_kelamin=pa.string(),
        demographic__agama=pa.string(),
        a__agama=pa.string(),
        wilayah=pa.string(),
        jalur_masuk=pa.string(),
        is_late=pa.bool_(),
        when=pa.timestamp("us"),
        credits=pa.decimal128(10, 2),
        unknown=pa.null(),
    )
    assert dict(found.kinds) == {
        "gpa_cumulative": "number",
        "submitted_share": "number",
        "jalur_masuk": "category",
        "is_late": "number",
        "credits": "number",
        "unknown": "number",
    }
    protected = {found.refused[name] for name in ("demographic__agama", "a__agama")}
    assert protected == {found.refused["jenis_kelamin"]}
    assert "protected" in found.refused["jenis_kelamin"]
    assert "excluded" in found.refused["wilayah"]
    assert "type timestamp" in found.refused["when"]


@pytest.mark.parametrize(
    ("mandatory", "said"),
    [
        (["gpa_cumulative", "demographic__agama"], "demographic__agama .protected attribute"),
        (["wilayah"], "wilayah .excluded"),
        (["gpa_final"], "gpa_final .in none of the feature tables.*gpa_cumulative"),
    ],
)
def test_a_mandatory_feature_that_may_not_or_cannot_be_used_is_an_error(mandatory, said):
    with pytest.raises(InsighteraError, match=said):
        candidates(
            use_case(mandatory=mandatory), demographic__agama=pa.string(), wilayah=pa.string()
        )


def test_a_protected_attribute_cannot_be_mandatory():
    with pytest.raises(InsighteraError, match="protected attributes"):
        use_case(mandatory=["agama"])


def test_more_mandatory_features_than_allowed_is_an_error():
    with pytest.raises(InsighteraError, match="max_features 1"):
        candidates(use_case(max_features=1))


def sample(entities: int = 400, weeks: int = 10, seed: int = 0):
    """Weekly rows; label depends on `signal` (U-shaped), `colour` and on whether `gap` is NULL."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(entities), weeks)
    rows = len(who)
    signal = rng.normal(size=entities)[who] + rng.normal(0, 0.2, rows)
    colour = rng.choice(["red", "blue", None], size=entities)[who]
    silent = (rng.random(entities) < 0.3)[who]
    logit = 1.5 * np.abs(signal) + 1.2 * (colour == "red") + 1.2 * silent - 2.5
    labels = (rng.random(entities)[who] < 1 / (1 + np.exp(-logit))).astype(np.int64)
    frame = pd.DataFrame(
        {
            "gpa_cumulative": rng.normal(size=rows),
            "submitted_share": np.nan,
            "signal": signal,
            "colour": pd.Series(colour, dtype=object),
            "gap": np.where(silent, np.nan, rng.normal(size=rows)),
            "constant": 3.0,
            "empty": np.nan,
            "name": pd.Series([f"Name {number}" for number in who], dtype=object),
            # Says nothing, but is the same in all rows of an entity: repeats are no evidence.
            **{f"luck_{number}": rng.normal(size=entities)[who] for number in range(20)},
        }
    )
    kinds = {name: "category" if frame[name].dtype == object else "number" for name in frame}
    return frame, labels, who.astype(np.uint64), kinds


def test_the_test_finds_what_matters_and_mandatory_features_stay():
    frame, labels, entities, kinds = sample()
    chosen = selection.select(frame, labels, entities, kinds, use_case(max_features=20))
    assert chosen.features[:2] == ("gpa_cumulative", "submitted_share")
    assert {"signal", "colour", "gap"} <= set(chosen.features)
    assert not {"constant", "empty", "name"} & set(chosen.features)
    assert len([name for name in chosen.features if name.startswith("luck")]) <= 1
    assert chosen.notes == ("mandatory feature submitted_share is NULL in every row",)
    assert chosen.kinds["colour"] == "category"


def test_at_most_max_features_and_the_most_informative_first():
    frame, labels, entities, kinds = sample()
    chosen = selection.select(frame, labels, entities, kinds, use_case(max_features=3))
    best = max(("signal", "colour", "gap"), key=lambda name: chosen.tests[name].information)
    assert chosen.features == ("gpa_cumulative", "submitted_share", best)


def test_repeating_every_row_changes_no_test():
    frame, labels, entities, kinds = sample(weeks=3)
    once = selection.select(frame, labels, entities, kinds, use_case())
    many = np.tile(np.arange(len(labels)), 5)
    again = selection.select(
        frame.iloc[many].reset_index(drop=True), labels[many], entities[many], kinds, use_case()
    )
    assert again.features == once.features
    for name, test in once.tests.items():
        assert again.tests[name].p == pytest.approx(test.p, rel=0.05, abs=1e-6)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_flag_is_tested_however_rare_it_is(share):
    rng = np.random.default_rng(1)
    flag = (rng.random(3000) < share).astype(np.float64)
    labels = np.where(rng.random(3000) < 0.9, flag, 1 - flag).astype(np.int64)
    frame = pd.DataFrame({"flag": flag, "gpa_cumulative": 1.0, "submitted_share": 1.0})
    kinds = dict.fromkeys(frame.columns, "number")
    chosen = selection.select(frame, labels, np.arange(3000, dtype=np.uint64), kinds, use_case())
    assert "flag" in chosen.features


def test_proxies_tell_a_give_away_from_none():
    rng = np.random.default_rng(2)
    entities = np.repeat(np.arange(300, dtype=np.uint64), 4)
    religion = rng.choice(["a", "b", "c"], size=300)[entities]
    frame = pd.DataFrame(
        {
            "village": pd.Series(np.where(religion == "a", "x", religion), dtype=object),
            "height": rng.normal(size=1200),
        }
    )
    protected = {
        "religion": religion.astype(object),
        "gender": rng.choice(["L", "P"], size=300)[entities].astype(object),
        "single": np.full(1200, "one", dtype=object),
        "rare": np.where(entities < 5, "yes", "no").astype(object),
        "unknown": np.full(1200, None, dtype=object),
    }
    kinds = {"village": "category", "height": "number"}
    found = selection.proxies(frame, kinds, protected, entities)
    assert found["religion"] > 0.95
    assert 0.35 < found["gender"] < 0.65
    assert found["single"] is found["rare"] is found["unknown"] is None
