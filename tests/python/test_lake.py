"""Iceberg's door: branches apart, `main` moved by compare-and-swap, columns added, history kept."""

import threading
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from ml.core.errors import InsighteraError
from ml.core.use_case import Build
from ml.lake import iceberg as lake

SUMMARY = {"run-id": "r"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSIGHTERA_LAKE", raising=False)
    monkeypatch.delenv("INSIGHTERA_CATALOG_URI", raising=False)
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path))


def rows(*names: str, day: int = 1) -> pa.Table:
    return pa.table(
        {"nim": list(names), "day": [date(2024, 1, day)] * len(names)},
        schema=pa.schema([("nim", pa.string()), ("day", pa.date32())]),
    )


def names(**choice: object) -> list[str]:
    return sorted(lake.read_table("t", **choice)["nim"].to_pylist())


def on_branch(branch: str, *content: str) -> int:
    """A branch at `main` with one snapshot more; that snapshot."""
    main = lake.head("t")
    lake.create_branch("t", branch, main)
    return lake.append("t", rows(*content), SUMMARY, branch=branch, onto=main)


def test_branch_is_apart_until_main_moves_to_it() -> None:
    lake.ensure("t", rows().schema, ["day"])
    first = on_branch("audit_1", "a")
    second = lake.append("t", rows("b"), SUMMARY, branch="audit_1", onto=first)
    assert lake.head("t") is None
    assert names() == []
    assert names(branch="audit_1") == ["a", "b"]

    lake.move_main("t", None, second)
    assert names() == ["a", "b"]
    assert [entry.id for entry in lake.history("t")] == [second, first]

    on_branch("audit_2", "c")
    assert names() == ["a", "b"]
    assert names(branch="audit_2") == ["a", "b", "c"]
    lake.drop_branch("t", "audit_2")
    lake.drop_branch("t", "audit_2")
    assert set(lake.refs("t")) == {"main", "audit_1"}


def test_branch_append_refuses_another_head_than_the_caller_saw() -> None:
    lake.ensure("t", rows().schema)
    first = on_branch("audit_1", "a")
    lake.append("t", rows("b"), SUMMARY, branch="audit_1", onto=first)
    with pytest.raises(lake.MainMovedError):
        lake.append("t", rows("c"), SUMMARY, branch="audit_1", onto=first)
    assert names(branch="audit_1") == ["a", "b"]


@pytest.mark.parametrize("published_before", [False, True])
def test_commit_on_main_meanwhile_is_not_lost(published_before: bool) -> None:
    lake.ensure("t", rows().schema)
    if published_before:
        lake.append("t", rows("z"), SUMMARY)
    began = lake.head("t")
    mine = on_branch("audit_1", "a")
    theirs = lake.append("t", rows("other"), SUMMARY)
    with pytest.raises(lake.MainMovedError, match=f"{theirs}.*{mine}"):
        lake.move_main("t", began, mine)
    assert lake.head("t") == theirs
    assert "other" in names()
    assert "a" in names(branch="audit_1")


def test_commit_on_another_branch_at_the_same_moment_does_not_hinder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pyiceberg.catalog.sql import SqlCatalog

    lake.ensure("t", rows().schema)
    mine = on_branch("audit_1", "a")
    real, raced = SqlCatalog._update_and_stage_table, []

    def staged_while_another_commits(*arguments: object) -> object:
        answer = real(*arguments)
        if not raced:  # between reading the table and swapping its pointer
            raced.append(True)
            on_branch("audit_2", "b")
        return answer

    monkeypatch.setattr(SqlCatalog, "_update_and_stage_table", staged_while_another_commits)
    lake.move_main("t", None, mine)
    assert raced
    assert names() == ["a"]
    assert names(branch="audit_2") == ["b"]


def test_of_two_movers_at_once_one_wins() -> None:
    lake.ensure("t", rows().schema)
    lake.append("t", rows("z"), SUMMARY)
    began = lake.head("t")
    tips = [on_branch("audit_1", "a"), on_branch("audit_2", "b")]
    gate, outcomes = threading.Barrier(2), []

    def move(tip: int) -> None:
        gate.wait()
        try:
            lake.move_main("t", began, tip)
            outcomes.append(tip)
        except lake.MainMovedError:
            outcomes.append(None)

    movers = [threading.Thread(target=move, args=(tip,)) for tip in tips]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    assert sorted(outcomes, key=str) == sorted([lake.head("t"), None], key=str)
    assert lake.head("t") in tips


def test_new_column_is_null_in_older_rows_and_a_changed_type_is_refused() -> None:
    lake.ensure("t", rows().schema)
    before = lake.append("t", rows("a"), SUMMARY)
    wider = rows("b").append_column("gpa", pa.array([3.5], pa.float32()))
    lake.ensure("t", wider.schema)
    lake.append("t", wider, SUMMARY)
    lake.append("t", rows("c"), SUMMARY)  # a use case that lacks the column
    assert lake.read_table("t").sort_by("nim")["gpa"].to_pylist() == [None, 3.5, None]
    assert lake.read_table("t", snapshot=before).column_names == ["nim", "day"]

    lake.ensure("t", pa.schema([("gpa", pa.float64())]))
    assert lake.schema("t").field("gpa").type == pa.float64()
    with pytest.raises(InsighteraError, match=r"ml\.t.*gpa"):
        lake.ensure("t", pa.schema([("gpa", pa.string())]))


def test_types_that_iceberg_lacks_become_the_nearest() -> None:
    odd = pa.table(
        {
            "d": pa.array(["x"]).dictionary_encode(),
            "s": pa.array([1], pa.int16()),
            "u": pa.array([2**40], pa.uint64()),
            "n": pa.array([datetime(2024, 1, 1, 0, 0, 0, 5)], pa.timestamp("ns")),
            "l": pa.array(["y"], pa.large_string()),
        }
    )
    lake.ensure("t", odd.schema)
    lake.append("t", odd, SUMMARY)
    held = lake.read_table("t")
    assert held.to_pylist() == [
        {"d": "x", "s": 1, "u": 2**40, "n": datetime(2024, 1, 1, 0, 0, 0, 5), "l": "y"}
    ]
    assert held.schema == lake.schema("t")


def test_replace_keeps_what_was_there_under_its_snapshot() -> None:
    first = lake.replace("t", rows("a", "b"), SUMMARY)
    second = lake.replace("t", rows("c"), {"run-id": "s"})
    assert names() == ["c"]
    assert names(snapshot=first) == ["a", "b"]
    assert lake.history("t")[0].id == second
    assert lake.history("t")[0].summary["run-id"] == "s"


def test_read_filters_and_chooses_columns() -> None:
    lake.ensure("t", rows().schema, ["day"])
    for day, name in enumerate(["a", "b'\"c", "c"], start=1):
        lake.append("t", rows(name, day=day), SUMMARY)
    assert names(at_most={"day": date(2024, 1, 2)}) == ["a", "b'\"c"]
    assert names(equal={"nim": "b'\"c"}) == ["b'\"c"]
    assert lake.read_table("t", columns=["day"]).column_names == ["day"]


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(InsighteraError, match=r"No table ml\.t.*Tables: none"):
        lake.read("t")
    lake.ensure("t", rows().schema)
    snapshot = lake.append("t", rows("a"), SUMMARY)
    with pytest.raises(InsighteraError, match=f"no snapshot 5.*{snapshot}"):
        lake.read("t", snapshot=5)
    with pytest.raises(InsighteraError, match=r"no branch 'b'.*main"):
        lake.read("t", branch="b")


def test_log_of_main_says_what_was_shown_when() -> None:
    lake.ensure("t", rows().schema)
    tip = on_branch("audit_1", "a")
    before = lake.snapshots("t")[tip].committed_at
    lake.move_main("t", None, tip)
    later = lake.append("t", rows("b"), SUMMARY)
    log = lake.moves("t")
    assert [(move.snapshot_id, move.previous_id) for move in log] == [(tip, None), (later, tip)]
    assert before <= log[0].moved_at <= log[1].moved_at
    assert lake.snapshot_at("t", datetime(2000, 1, 1)) is None
    assert lake.snapshot_at("t", log[1].moved_at) == later


def test_row_missing_for_two_processes_is_written_once() -> None:
    lake.ensure("t", rows().schema, properties=lake.NO_RETRIES)
    gate = threading.Barrier(2)
    seen: list[int] = []

    def missing(held: pa.Table) -> pa.Table:
        seen.append(held.num_rows)
        if len(seen) <= 2:
            gate.wait()  # both have read the empty table before either writes
        return rows() if "a" in held["nim"].to_pylist() else rows("a")

    writers = [
        threading.Thread(target=lake.append_once, args=("t", missing, SUMMARY)) for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert names() == ["a"]
    assert seen[:2] == [0, 0]


def test_many_small_appends_leave_few_manifests() -> None:
    lake.ensure("t", rows().schema)
    for number in range(30):
        lake.append("t", rows(str(number)), SUMMARY)
    manifests = lake._load("t").current_snapshot().manifests(lake._load("t").io)
    assert len(manifests) < 10
    assert len(names()) == 30


def test_lineage_leads_back_to_code_run_model_and_person() -> None:
    build = Build(as_of=datetime(2024, 2, 1), run_id="abc", use_cases={}, protected=())
    lake.ensure("t", rows().schema)
    lake.append("t", rows("a"), lake.lineage(build, "7"))
    summary = lake.history("t")[0].summary
    assert summary["run-id"] == summary["dbt-invocation-id"] == "abc"
    assert summary["model-version"] == "7"
    assert summary["as-of"] == "2024-02-01T00:00:00"
    assert summary["user"] == lake.user()
    assert summary["git-commit"] == lake.git_commit()
