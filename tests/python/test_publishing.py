"""The gate: `main` moves once, with one receipt, however often a run is killed or two meet.

Processes are really killed (signal 9), at every commit to the Iceberg catalog, before and after it.
"""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from scoring_world import (
    FIRST,
    LATER,
    NAME,
    TABLE,
    World,
    copy_store,
    home,
    in_process,
    run_and_die,
    use_home,
    world_of,
)
from task_worlds import WORLDS, store

from ml import lake, publishing, registry
from ml.core.errors import InsighteraError
from ml.lake import prediction_tables
from ml.publishing import predictions

__all__ = ["home", "world_of"]

STUDENTS, BATCH = 30, 20
# Worlds that make as many predictions at one instant.
MADE = {task: partial(world, STUDENTS // world.answers) for task, world in WORLDS.items()}
# What a first build commits. score: create the table, the empty snapshot before a first branch, two
# batches. publish: main, create the receipts, the receipt, drop the branch.
SCORE_COMMITS, PUBLISH_COMMITS = 4, 4


def kill_points() -> list[tuple[str, str, int, str]]:
    """Every one for classification. What a task changes are the rows: for the others before and after
    the first of them (anomalies are written at once), and between main's move and the receipt.
    """
    commits = {"score": SCORE_COMMITS, "publish": PUBLISH_COMMITS}
    amid = [("score", 2, "before"), ("score", 2, "after"), ("publish", 0, "after")]
    return [
        ("classification", phase, commit, moment)
        for phase, count in commits.items()
        for commit in range(count)
        for moment in ("before", "after")
    ] + [(task, *point) for task in WORLDS if task != "classification" for point in amid]


def assert_nothing_lost_or_doubled(
    receipts: pa.Table, rows: int, table: str = TABLE, keys: Sequence[str] = ("nim",)
) -> None:
    """`main` holds `rows` predictions, once each, and one receipt per move of `main`."""
    held = lake.read_table(table).to_pylist()
    named = (*keys, "prediction_timestamp", "model_version")
    counts = Counter(tuple(row[name] for name in named) for row in held)
    assert len(held) == rows
    assert set(counts.values()) == {1}
    told = [(r["snapshot_id"], r["parent_id"]) for r in receipts.to_pylist()]
    assert told == [(move.snapshot_id, move.previous_id) for move in lake.moves(table)]
    assert sum(receipts["rows"].to_pylist()) == rows


def test_kill_points_are_all_of_a_first_build(home: Path) -> None:
    beyond = [("score", SCORE_COMMITS), ("publish", PUBLISH_COMMITS)]
    made = MADE["classification"]
    for position, (phase, commit) in enumerate(beyond):
        folder = home.parent / str(position)
        clone(home, folder)
        arguments = (str(folder), made, FIRST, "run-1", phase, commit, "before", BATCH)
        assert in_process(run_and_die, *arguments) == 0
        inside = (str(folder), made, LATER, "run-2", phase, 0, "before", BATCH)
        assert in_process(run_and_die, *inside) == -9


@pytest.mark.parametrize(("task", "phase", "commit", "moment"), kill_points())
def test_killed_at_any_commit_then_run_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    phase: str,
    commit: int,
    moment: str,
) -> None:
    copy_store(tmp_path, store(task))
    use_home(tmp_path, monkeypatch)
    killed = in_process(
        run_and_die, str(tmp_path), MADE[task], FIRST, "run-1", phase, commit, moment, BATCH
    )
    assert killed == -9
    published_already = phase == "publish" and (commit, moment) != (0, "before")

    world = MADE[task]()
    again = world.score(FIRST, "run-2", batch_rows=BATCH)
    assert again.num_rows == (0 if published_already else STUDENTS)
    published = world.publish(FIRST, "run-2", again)
    assert published.num_rows == STUDENTS
    receipts = world.receipts(FIRST, "run-2")
    assert_nothing_lost_or_doubled(receipts, STUDENTS, world.table, world.keys)
    if phase == "publish":
        assert set(lake.refs(world.table)) <= {"main", "audit_run1"}
        assert ("audit_run1" in lake.refs(world.table)) == (not published_already)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_same_run_again_after_a_kill_between_batches(home: Path, moment: str) -> None:
    made = MADE["classification"]
    arguments = (str(home), made, FIRST, "run-1", "score", 2, moment, BATCH)
    assert in_process(run_and_die, *arguments) == -9
    world = World(STUDENTS)
    world.run(FIRST, "run-1", batch_rows=BATCH)
    assert_nothing_lost_or_doubled(world.receipts(FIRST, "run-1"), STUDENTS)
    assert set(lake.refs(TABLE)) == {"main"}


def test_killed_between_audit_and_publish_of_an_increment(home: Path) -> None:
    world = World(STUDENTS, every=3)
    first = world.run(FIRST, "run-1")
    assert home.is_dir()
    abandoned = world.score(LATER, "run-2")  # audited, and then the machine went off
    assert abandoned.num_rows > 0
    assert predictions.current(TABLE).equals(first)
    world.run(LATER, "run-3")
    assert_nothing_lost_or_doubled(world.receipts(LATER, "run-3"), STUDENTS + abandoned.num_rows)
    # the branch that nobody published stays, readable, until maintenance
    assert lake.read_table(TABLE, branch="audit_run2", equal={"run_id": "run-2"}).num_rows


def test_publishing_again_does_nothing(home: Path) -> None:
    world = World(STUDENTS)
    audited = world.score(FIRST, "run-1")
    first = world.publish(FIRST, "run-1", audited)
    moves = lake.moves(TABLE)
    assert world.publish(FIRST, "run-1", audited).equals(first)
    assert lake.moves(TABLE) == moves
    assert world.receipts(FIRST, "run-1").num_rows == 1
    assert len(lake.history(publishing.RECEIPTS)) == 1
    assert set(lake.refs(TABLE)) == {"main"}
    assert home.is_dir()


def test_receipt_leads_back_to_run_code_and_model(home: Path) -> None:
    world = World(STUDENTS)
    world.run(FIRST, "0f-1", batch_rows=BATCH)
    world.run(LATER, "0f-2")
    first, second = world.receipts(LATER, "0f-2").to_pylist()
    assert home.is_dir()
    assert (first["table_name"], first["action"], first["rows"]) == (TABLE, "publish", STUDENTS)
    assert (first["run_id"], first["as_of"], first["parent_id"]) == ("0f-1", FIRST, None)
    assert (first["model_name"], first["model_version"]) == (NAME, "1")
    assert first["git_commit"] == lake.git_commit()
    assert first["user_name"] == lake.user()
    assert first["committed_at"] <= first["published_at"] <= second["published_at"]
    assert second["parent_id"] == first["snapshot_id"]
    assert second["snapshot_id"] == lake.head(TABLE)
    summary = lake.history(TABLE)[0].summary
    assert summary["run-id"] == summary["dbt-invocation-id"] == "0f-2"
    assert {"git-commit", "model-version", "user"} <= set(summary)


def concurrent_commit() -> int:
    """Another program appends one row to `main`, through a catalog of its own."""
    from pyiceberg.catalog.sql import SqlCatalog

    from ml.core import settings

    other = SqlCatalog("lake", uri=settings.catalog_uri(), warehouse=settings.lake())
    table = other.load_table(("ml", TABLE))
    row = lake.read_table(TABLE).slice(0, 1).to_pylist()[0] | {
        "nim": "theirs",
        "run_id": "another program",
    }
    table.append(pa.Table.from_pylist([row], schema=lake.schema(TABLE)))
    return table.refresh().current_snapshot().snapshot_id


def test_concurrent_commit_between_audit_and_publish_is_not_lost(
    home: Path, world_of: type[World]
) -> None:
    world = world_of(STUDENTS, every=3)
    world.run(FIRST, "run-1")
    began = lake.head(TABLE)
    audited = world.score(LATER, "run-2")
    with pytest.raises(InsighteraError, match=f"{audited.num_rows} rows.*{audited.num_rows - 1} "):
        world.publish(LATER, "run-2", audited.slice(1))
    theirs = concurrent_commit()
    mine = lake.head(TABLE, "audit_run2")
    with pytest.raises(InsighteraError) as error:
        world.publish(LATER, "run-2", audited)
    for part in (f"ml.{TABLE}", "audit_run2", str(theirs), str(mine), str(began), "dbt build"):
        assert part in str(error.value)
    assert lake.head(TABLE) == theirs
    assert lake.head(TABLE, "audit_run2") == mine

    published = world.run(LATER, "run-3")
    assert "theirs" in published["nim"].to_pylist()
    assert_nothing_lost_or_doubled(world.receipts(LATER, "run-3"), STUDENTS + audited.num_rows + 1)
    assert home.is_dir()


def test_of_two_publishers_at_once_one_wins_and_no_row_is_doubled(home: Path) -> None:
    worlds = World(STUDENTS), World(STUDENTS)
    audited = [world.score(FIRST, f"run-{i}") for i, world in enumerate(worlds)]
    gate, outcomes = threading.Barrier(2), []

    def publish(position: int) -> None:
        gate.wait()
        try:
            worlds[position].publish(FIRST, f"run-{position}", audited[position])
            outcomes.append("published")
        except InsighteraError as error:
            outcomes.append(str(error))

    publishers = [threading.Thread(target=publish, args=(i,)) for i in range(2)]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join()
    refusal = next(outcome for outcome in outcomes if outcome != "published")
    assert outcomes.count("published") == 1
    assert "was not published: main moved" in refusal
    assert worlds[0].score(FIRST, "run-3").num_rows == 0
    assert_nothing_lost_or_doubled(worlds[0].receipts(FIRST, "run-3"), STUDENTS)
    assert home.is_dir()


def test_rows_other_than_the_branch_are_not_published(home: Path) -> None:
    world = World(STUDENTS)
    audited = world.score(FIRST, "run-1")
    with pytest.raises(InsighteraError, match=r"30 rows.*29 rows"):
        world.publish(FIRST, "run-1", audited.slice(1))
    assert lake.head(TABLE) is None
    assert home.is_dir()


def test_run_that_another_is_still_scoring_keeps_its_branch(home: Path) -> None:
    world = World(STUDENTS, every=3)
    world.run(FIRST, "run-1")
    lake.create_branch(TABLE, "audit_run9", lake.head(TABLE))  # begun, nothing written yet
    world.run(LATER, "run-2")
    assert set(lake.refs(TABLE)) == {"main", "audit_run9"}
    assert home.is_dir()


def test_published_is_the_latest_row_of_each_student_at_as_of(home: Path) -> None:
    world = World(STUDENTS, every=3)
    first = world.run(FIRST, "run-1")
    later = {row["nim"]: row for row in world.run(LATER, "run-2").to_pylist()}
    changed = [nim for nim, row in later.items() if row["prediction_timestamp"] == LATER]
    assert 0 < len(changed) < STUDENTS
    for row in first.to_pylist():
        assert (later[row["nim"]] == row) == (row["nim"] not in changed)
    nothing = world.score(FIRST, "run-3")
    assert world.publish(FIRST, "run-3", nothing).equals(first)  # as of then, that is what counted
    assert home.is_dir()


def test_new_column_of_the_use_case_reaches_main(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import scoring_world

    world = World(STUDENTS, every=3)
    world.run(FIRST, "run-1")
    world.connection.execute("alter table dim add column kampus varchar default 'Depok'")
    wider = {**scoring_world.META, "attributes": [*scoring_world.META["attributes"], "kampus"]}
    monkeypatch.setattr(scoring_world, "META", wider)
    rows = world.run(LATER, "run-2").to_pylist()
    told = {row["prediction_timestamp"]: row["kampus"] for row in rows}
    assert told == {FIRST: None, LATER: "Depok"}
    assert home.is_dir()


def test_rollback_has_a_receipt_and_the_next_build_scores_again(home: Path) -> None:
    world = World(STUDENTS, every=3)
    first = world.run(FIRST, "run-1")
    beginning = lake.head(TABLE)
    latest = world.run(LATER, "run-2")
    tip, rows = lake.head(TABLE), lake.read_table(TABLE).num_rows

    assert publishing.rollback(TABLE) == beginning
    assert predictions.current(TABLE).equals(first)
    told = world.receipts(LATER, "run-3").to_pylist()[-1]
    assert (told["action"], told["rows"]) == ("rollback", STUDENTS - rows)
    assert (told["snapshot_id"], told["parent_id"]) == (beginning, tip)
    assert told["user_name"] == lake.user()
    said = json.loads(lake.properties(TABLE)[prediction_tables.LAST_MOVE])
    assert (said["from"], said["to"]) == (tip, beginning)

    with pytest.raises(InsighteraError, match="first publication"):
        publishing.rollback(TABLE)
    assert publishing.rollback(TABLE, str(tip)) == tip  # and forward again
    assert predictions.current(TABLE).equals(latest)
    publishing.rollback(TABLE)
    world.run(LATER, "run-4")
    assert_nothing_lost_or_doubled(world.receipts(LATER, "run-4"), rows)
    assert home.is_dir()


def test_rollback_refuses_what_main_never_showed(home: Path) -> None:
    world = World(STUDENTS)
    world.run(FIRST, "run-1")
    registry.promote(NAME, "2", "test")
    world.score(LATER, "run-2")
    with pytest.raises(InsighteraError, match=r"never showed"):
        publishing.rollback(TABLE, lake.head(TABLE, "audit_run2"))
    with pytest.raises(InsighteraError, match=r"already shows"):
        publishing.rollback(TABLE, lake.head(TABLE))
    with pytest.raises(InsighteraError, match=r"no snapshot id"):
        publishing.rollback(TABLE, "yesterday")
    assert home.is_dir()


def clone(home: Path, folder: Path) -> None:
    """The same champion, no predictions."""
    import shutil

    shutil.copytree(home, folder)


def test_as_of_of_a_receipt_is_naive_utc(home: Path) -> None:
    world = World(STUDENTS)
    world.run(FIRST, "run-1")
    told = world.receipts(FIRST, "run-1").to_pylist()[0]
    assert told["as_of"] == datetime(2024, 2, 1)
    assert told["published_at"].tzinfo is None
    assert home.is_dir()
