"""What waits after a build that failed: chosen from dbt's results, and called by make."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT

from ml.cli import use_case_files
from ml.cli.catch_up import OF_ONE, UNREACHED, Left, left_by

# model -> its parents: two use cases, what gathers them, and what is of neither
READS = {
    "dim": [],
    "label_a": ["dim"],
    "train_a": ["label_a"],
    "score_a": ["label_a", "train_a"],
    "published_as": ["score_a"],
    "monitor_training_a": ["train_a"],
    "monitor_population_a": ["label_a", "monitor_training_a"],
    "label_b": ["dim"],
    "train_b": ["label_b"],
    "score_b": ["label_b", "train_b"],
    "published_bs": ["score_b"],
    "trained": ["train_a", "train_b"],
    "gathered": ["published_as", "published_bs"],
    "drift": ["gathered", "label_a", "monitor_population_a"],
    "report_a": ["published_as", "dim"],
    "report_dim": ["dim"],
    "served": ["report_a", "report_dim", "drift", "trained"],
}
TESTS = {
    "label_a_is_a_spine": ["label_a"],
    "label_a_is_in_dim": ["label_a", "dim"],
    "audit_a": ["score_a"],
    "published_as_has_a_key": ["published_as"],
    "gathered_has_a_key": ["gathered"],
    "gathered_is_what_was_scored": ["gathered", "score_a"],
    "report_dim_has_a_key": ["report_dim"],
}
OF_A = {"train_a", "score_a", "published_as", "published_as_has_a_key", "audit_a"}
MONITORED = {"monitor_training_a", "monitor_population_a"}
OF_ALL = {"gathered", "gathered_has_a_key", "drift", "report_a", "served"}


def manifest() -> dict[str, Any]:
    """As dbt writes it, as far as it is read."""

    def node(kind: str, name: str, parents: list[str]) -> tuple[str, dict[str, Any]]:
        meta = {"use_case": {"output_table": f"{name[-1]}s"}} if name.startswith("label_") else {}
        return f"{kind}.p.{name}", {
            "name": name,
            "resource_type": kind,
            "package_name": "p",
            "fqn": ["p", name],
            "config": {"meta": meta if kind == "model" else {}},
            "depends_on": {"nodes": [f"model.p.{parent}" for parent in parents]},
        }

    models = [node("model", name, parents) for name, parents in READS.items()]
    return {"nodes": dict([*models, *(node("test", name, of) for name, of in TESTS.items())])}


def above(name: str) -> set[str]:
    """The models that a model follows from."""
    return {up for parent in READS[name] for up in (parent, *above(parent))}


def after(failed: Mapping[str, str], unreached: tuple[str, ...] = ()) -> Left:
    """What is left where these nodes failed (name -> status): dbt skips what follows."""
    said = dict.fromkeys(READS, "success") | dict.fromkeys(TESTS, "pass") | failed
    edges = {**READS, **TESTS}
    for name, parents in edges.items():  # parents stand before their children
        tests = [test for test, of in TESTS.items() if name in READS and set(of) <= above(name)]
        if any(said[up] in ("skipped", "error", "fail") for up in [*parents, *tests]):
            said[name] = "skipped"
    said |= dict.fromkeys(unreached, "skipped")
    kind = {name: "model" if name in READS else "test" for name in said}
    results = [{"unique_id": f"{kind[name]}.p.{name}", "status": said[name]} for name in said]
    return left_by(manifest(), results)


def names(selectors: Any) -> set[str]:
    return {selector.removeprefix("fqn:p.") for selector in selectors}


@pytest.mark.parametrize(
    ("failed", "refused", "waiting", "stand_ins"),
    [
        (
            {"audit_a": "fail"},
            ["score_a"],
            OF_ALL,
            {"published_as", "published_as_has_a_key"},
        ),
        (
            {"score_a": "error"},
            ["score_a"],
            OF_ALL,
            OF_A - {"train_a"},
        ),
        ({"train_a": "error"}, ["train_a"], {*OF_ALL, "trained"}, OF_A | MONITORED),
        ({"label_a_is_a_spine": "fail"}, ["label_a"], {*OF_ALL, "trained"}, OF_A | MONITORED),
        ({"label_a_is_in_dim": "fail"}, ["label_a"], {*OF_ALL, "trained"}, OF_A | MONITORED),
        ({"label_a": "error"}, ["label_a"], {*OF_ALL, "trained"}, OF_A | MONITORED),
        (
            {"published_as": "error"},
            ["published_as"],
            OF_ALL,
            {"published_as", "published_as_has_a_key"},
        ),
        ({"monitor_population_a": "error"}, ["monitor_population_a"], {"drift", "served"}, set()),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_what_waits_for_one_use_case(
    failed: dict[str, str], refused: list[str], waiting: set[str], stand_ins: set[str]
) -> None:
    left = after(failed)
    assert left.refused == {"a": refused}
    assert names(left.waiting) - {"gathered_is_what_was_scored"} == waiting
    assert names(left.stand_ins) - {"gathered_is_what_was_scored"} == stand_ins
    assert left.beyond == []


@pytest.mark.parametrize(
    ("failed", "beyond"),
    [
        ({"dim": "error"}, ["dim"]),
        ({"published_as_has_a_key": "fail"}, ["published_as"]),
        ({"gathered_has_a_key": "fail"}, ["gathered"]),
        ({"gathered_is_what_was_scored": "fail"}, ["gathered", "score_a"]),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_what_else_fails_holds_back_what_follows(failed: dict[str, str], beyond: list[str]) -> None:
    left = after(failed)
    assert (left.refused, left.waiting, left.stand_ins) == ({}, [], [])
    assert left.beyond == beyond


def test_two_failures_hold_back_what_follows_from_the_other() -> None:
    left = after({"audit_a": "fail", "report_dim_has_a_key": "fail"})
    assert left.refused == {"a": ["score_a"]}
    assert "gathered" in names(left.waiting)
    assert "served" not in names(left.waiting)
    assert left.beyond == ["report_dim"]


def test_a_build_cut_short_is_not_completed() -> None:
    """With `--fail-fast`, dbt skips also what does not follow: that was never scored or tested."""
    left = after({"audit_a": "fail"}, unreached=("score_b", "published_bs"))
    assert not names(left.waiting) & {"score_b", "published_bs", "gathered", "served"}
    assert left.beyond == [UNREACHED]


def test_every_node_of_one_use_case_is_known_as_its_own() -> None:
    files = use_case_files.written(PROJECT)
    for use_case in use_case_files.declared(PROJECT):
        nodes = {Path(path).stem for path, text in files.items() if use_case.source in text[:200]}
        assert len(nodes) > 1
        assert nodes <= {use_case.published, *(f"{kind}_{use_case.name}" for kind in OF_ONE)}


@pytest.mark.parametrize(("code", "catches_up"), [(0, False), (1, True), (2, False)])
def test_make_catches_up_where_something_failed_and_fails_all_the_same(
    tmp_path: Path, code: int, catches_up: bool
) -> None:
    called = tmp_path / "called"
    for name, exit_code in (("dbt", code), ("insightera", 0)):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {called}\nexit {exit_code}\n')
        program.chmod(0o755)
    stamp = tmp_path / "stamp"
    stamp.touch()
    done = subprocess.run(
        ["make", "build", f"BIN={tmp_path}", f"STAMP={stamp}"],
        cwd=PROJECT,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (code == 0), done.stderr
    assert ("insightera catch-up" in called.read_text()) == catches_up
    assert ("insightera where" in called.read_text()) == (code == 0)
