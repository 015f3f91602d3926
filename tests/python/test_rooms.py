"""The package's rooms: who may import whom. The table is that of docs/architecture.md."""

import ast
from pathlib import Path

import pytest

from ml.core.settings import PROJECT

# room -> the rooms it may import; those above a room are never imported by it, so there is no circle
STEPS = ("core", "lake", "registry", "raw", "engine", "features", "tasks")
MAY = {
    "core": (),
    "lake": ("core",),
    "registry": ("core",),
    "raw": ("core",),
    "engine": ("core", "lake", "raw"),
    "features": ("core", "engine"),
    "tasks": ("core", "engine", "features"),
    "training": STEPS,
    "scoring": STEPS,
    "publishing": STEPS,
    "monitoring": STEPS,
    "cli": (*STEPS, "training", "scoring", "publishing", "monitoring"),
    "spark_daemon": (*STEPS, "scoring"),  # what Spark's workers need, imported once
}
MODULES = sorted(
    path for path in (PROJECT / "ml").rglob("*.py") if path != PROJECT / "ml" / "__init__.py"
)


def imported(path: Path) -> set[str]:
    """The rooms of `ml` that a module imports, at its head or within a function."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "ml":
            rooms |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ml."):
            rooms.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            rooms |= {name.name.split(".")[1] for name in node.names if name.name.startswith("ml.")}
    return rooms


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PROJECT / "ml")))
def test_a_room_imports_only_what_its_row_says(path: Path) -> None:
    room = path.relative_to(PROJECT / "ml").parts[0].removesuffix(".py")
    assert room in MAY, f"{room} is in no row: add it to docs/architecture.md and here"
    beyond = imported(path) - {room, *MAY[room]}
    assert not beyond, f"ml.{room} may not import {sorted(beyond)}"


def test_the_table_has_no_circle() -> None:
    done: set[str] = set()
    while len(done) < len(MAY):
        ready = {room for room, needs in MAY.items() if set(needs) <= done} - done
        assert ready, f"a circle among {sorted(set(MAY) - done)}"
        done |= ready
