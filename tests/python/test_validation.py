"""Splits: time, entities and horizons kept apart, whatever the data's shape."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.tasks import splits
from ml.tasks.splits import PurgedGroupTimeSplit, TooLittleDataError

WEEK = np.timedelta64(7, "D")


@st.composite
def panels(draw):
    """Weekly rows of entities that enter, stay and leave; a label that comes at the end of some."""
    seed = draw(st.integers(0, 2**32 - 1))
    entities, weeks = draw(st.integers(2, 80)), draw(st.integers(1, 60))
    rng = np.random.default_rng(seed)
    who, week = np.meshgrid(np.arange(entities), np.arange(weeks), indexing="ij")
    entry, stay = rng.integers(0, weeks, entities), rng.integers(1, weeks + 1, entities)
    kept = (week >= entry[:, None]) & (week < (entry + stay)[:, None])
    who, week = who[kept], week[kept]
    leaves = rng.random(entities) < draw(st.floats(0.05, 0.9))
    labels = (leaves[who] & ((entry + stay)[who] - week <= 8)).astype(np.int64)
    order = rng.permutation(len(who))  # no order of rows is promised
    hashes = splits.mixed(np.arange(entities, dtype=np.uint64), salt=seed % 1000)
    cutoffs = np.datetime64("2020-01-06", "us") + week * WEEK
    horizon = np.timedelta64(draw(st.integers(1, 200)), "D").astype("timedelta64[us]")
    return cutoffs[order], labels[order], hashes[who][order], horizon


@settings(max_examples=150, deadline=None)
@given(panels())
def test_outer_split_keeps_time_entities_and_horizon_apart(panel):
    cutoffs, labels, entities, horizon = panel
    try:
        split = splits.outer_split(cutoffs, labels, entities, horizon)
    except TooLittleDataError:
        return  # rightly so? the next test
    assert cutoffs[split.train].max() + horizon <= cutoffs[split.validation].min()
    assert not set(entities[split.train]) & set(entities[split.validation])
    for side in (split.train, split.validation):
        for label in (0, 1):
            assert len(np.unique(entities[side][labels[side] == label])) >= 5
    everyone = set(np.flatnonzero(splits.judges(entities) & (cutoffs >= split.start)))
    assert set(split.validation) == everyone


@settings(max_examples=100, deadline=None)
@given(panels())
def test_outer_split_is_refused_only_where_no_start_would_do(panel):
    cutoffs, labels, entities, horizon = panel
    judge = splits.judges(entities)
    possible = any(
        all(
            len(np.unique(entities[side & (labels == label)])) >= 5
            for side in (~judge & (cutoffs <= start - horizon), judge & (cutoffs >= start))
            for label in (0, 1)
        )
        for start in np.unique(cutoffs)
    )
    if possible:
        splits.outer_split(cutoffs, labels, entities, horizon)
    else:
        with pytest.raises(TooLittleDataError, match="matured rows"):
            splits.outer_split(cutoffs, labels, entities, horizon)


@settings(max_examples=150, deadline=None)
@given(panels(), st.integers(1, 5), st.booleans())
def test_inner_splitter_keeps_time_entities_and_gap_apart(panel, folds, with_gap):
    cutoffs, _, entities, horizon = panel
    gap = horizon if with_gap else np.timedelta64(0, "us")
    splitter = PurgedGroupTimeSplit(cutoffs, entities, folds, gap)
    pairs = list(splitter.split())
    assert len(pairs) == splitter.get_n_splits() == folds
    seen: set[int] = set()
    for learn, judge in pairs:
        if len(learn) and len(judge):
            assert cutoffs[learn].max() + gap <= cutoffs[judge].min()
            assert cutoffs[learn].max() < cutoffs[judge].min()
            assert not set(entities[learn]) & set(entities[judge])
        assert not seen & set(judge), "a row judges twice"
        seen |= set(judge)
    begins = [cutoffs[judge].min() for _, judge in pairs if len(judge)]
    assert begins == sorted(begins)


@settings(max_examples=100, deadline=None)
@given(panels(), st.integers(2, 5))
def test_grouped_folds_hold_each_entity_out_once(panel, folds):
    _, _, entities, _ = panel
    pairs = splits.grouped_folds(entities, folds)
    assert sorted(np.concatenate([held for _, held in pairs])) == list(range(len(entities)))
    for learn, held in pairs:
        assert not set(entities[learn]) & set(entities[held])
        assert len(learn) + len(held) == len(entities)


@settings(max_examples=100, deadline=None)
@given(panels(), st.integers(2, 5))
def test_nobody_of_a_pair_stands_on_both_sides(panel, folds):
    cutoffs, labels, first, horizon = panel
    nodes = np.column_stack([first, np.roll(first, 7)])
    pairs = splits.grouped_folds(nodes, folds)
    assert sorted(np.concatenate([held for _, held in pairs])) == list(range(len(nodes)))
    pairs += PurgedGroupTimeSplit(cutoffs, nodes, folds, horizon).split()
    with contextlib.suppress(TooLittleDataError):
        split = splits.outer_split(cutoffs, labels, splits.mixed(first, 1), horizon, nodes)
        assert cutoffs[split.train].max() + horizon <= cutoffs[split.validation].min()
        pairs.append((split.train, split.validation))
    for learn, judge in pairs:
        assert not set(nodes[learn].ravel()) & set(nodes[judge].ravel())


@settings(max_examples=100, deadline=None)
@given(panels())
def test_folds_say_how_they_were_cut(panel):
    cutoffs, labels, entities, horizon = panel
    try:
        folds = splits.inner_folds(cutoffs, labels, entities, 3, horizon)
    except TooLittleDataError:
        return
    for learn, judge in folds.pairs:
        assert not set(entities[learn]) & set(entities[judge])
        if "with a gap" in folds.how:
            assert cutoffs[learn].max() + horizon <= cutoffs[judge].min()
        elif "WITHOUT" in folds.how:
            assert cutoffs[learn].max() < cutoffs[judge].min()
        for side in (learn, judge):
            assert min(labels[side].sum(), (1 - labels[side]).sum()) >= 5


def test_sides_do_not_depend_on_the_rows_and_have_the_stated_share():
    entities = np.random.default_rng(0).integers(0, 2**63, 20_000).astype(np.uint64)
    sides = splits.judges(entities)
    assert (splits.judges(entities[::-1])[::-1] == sides).all()
    assert 0.28 < sides.mean() < 0.32
    both = sides & splits.judges(entities, salt=1)
    assert 0.08 < both.mean() < 0.10  # the salts are independent: 0.3 * 0.3


def test_long_history_leaves_its_latest_quarter_to_validation():
    rng = np.random.default_rng(3)
    entities = rng.integers(0, 2**63, 4000).astype(np.uint64)
    week = rng.integers(0, 400, 4000)
    cutoffs = np.datetime64("2015-01-05", "us") + week * WEEK
    labels = (rng.random(4000) < 0.3).astype(np.int64)
    split = splits.outer_split(cutoffs, labels, entities, np.timedelta64(60, "D"))
    share = (cutoffs >= split.start).mean()
    assert 0.2 < share < 0.32


def test_gap_is_given_up_for_inner_folds_only_where_the_span_is_too_short():
    rng = np.random.default_rng(4)
    entities = np.repeat(rng.integers(0, 2**63, 300).astype(np.uint64), 20)
    cutoffs = np.datetime64("2020-01-06", "us") + np.tile(np.arange(20), 300) * WEEK
    labels = (rng.random(6000) < 0.3).astype(np.int64)
    short = splits.inner_folds(cutoffs, labels, entities, 3, np.timedelta64(180, "D"))
    long = splits.inner_folds(cutoffs, labels, entities, 3, np.timedelta64(30, "D"))
    same = splits.inner_folds(
        np.full(6000, cutoffs[0]), labels, entities, 3, np.timedelta64(30, "D")
    )
    assert "WITHOUT a gap" in short.how
    assert "with a gap of 30 days" in long.how
    assert "entity only" in same.how
