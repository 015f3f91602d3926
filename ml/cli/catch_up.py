"""After a build in which something of one use case failed: what of the others waited for it.

dbt skips what follows from a failure, and the models that gather all use cases, what dashboards
read among them, follow from each. One more build makes those that follow from nothing but failures
of single use cases. It has a run id of its own, so that no refused branch can be published, and the
instant of the build that it goes on with.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ml.core import builds
from ml.core.errors import InsighteraError

FAILED = ("error", "fail", "runtime error", "partial success")
SKIPPED = "skipped"
TESTS = ("test", "unit_test")
OF_ONE = ("label", "train", "score", "monitor_training", "monitor_population")
PUBLISHED = "published"
STAND_INS = ("train", "score", PUBLISHED)  # made again, doing nothing: what follows reads them
UNREACHED = "what the build did not reach"
Nodes = Mapping[str, Mapping[str, Any]]  # of dbt's manifest, by their id


class Owner(NamedTuple):
    """Whose a model is, and what of it."""

    use_case: str
    kind: str


@dataclass(frozen=True)
class Left:
    """What a build left undone."""

    refused: Mapping[str, list[str]]  # use case -> its models that failed
    waiting: Sequence[str]  # what follows from nothing else that failed, as dbt selects it
    stand_ins: Sequence[str]  # of the refused use cases what `waiting` reads
    beyond: Sequence[str]  # what else failed


def catch_up(target: Path) -> str:
    """Build what waited for a refused use case in the build that dbt's target folder tells of; in
    words what came of it.

    It publishes nothing, so it may be killed, and called again. Raises InsighteraError where
    `target` tells of no build, and where something fails again.
    """
    run = _read(target, "run_results.json")
    if run["args"].get("which") != "build":
        raise InsighteraError(
            f"What ran last in {target} was no build, so nothing is known of one. Run `make build`."
        )
    left = left_by(_read(target, "manifest.json"), run["results"])
    if not left.refused:
        return "Nothing waits for a use case of which something failed."
    names = ", ".join(left.refused)
    waits = f"What follows from {', '.join(left.beyond)} waits for that."
    if left.waiting:
        _build_once_or_twice(target, run["args"], left)
        said = f"Up to date but for {names}: of that, what was published before stays."
    else:
        said = f"Something of {names} failed, and nothing can be brought up to date without it."
    return f"{said} {waits}" if left.beyond else said


def _build_once_or_twice(target: Path, options: Mapping[str, Any], left: Left) -> None:
    """Where a stand-in cannot be made, what was there before has to do: the second time."""
    if _build(target, options, left.refused, [*left.waiting, *left.stand_ins]):
        return
    still = left_by(_read(target, "manifest.json"), _read(target, "run_results.json")["results"])
    if still.waiting and _build(target, options, left.refused, still.waiting):
        return
    raise InsighteraError(
        f"What waited for {', '.join(left.refused)} could not be brought up to date; what dbt says "
        "above has the reason. Mend it and run `make build`: nothing is lost, nothing doubled."
    )


def left_by(manifest: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> Left:
    """What a build left undone, from dbt's manifest and the results of the build.

    A failure of a use case's own is of its label, training, scoring (its audit, too), publishing or
    what monitoring keeps of it. A test of what is published already stops all that follows.
    """
    nodes = {**manifest["nodes"], **manifest.get("unit_tests", {})}
    status = {each["unique_id"]: each["status"] for each in results if each["unique_id"] in nodes}
    owners = _owners(nodes)
    own, beyond = _failures(nodes, status, owners)
    skipped = [node for node, said in status.items() if said == SKIPPED]
    stray = set(skipped) - _reached(nodes, own | beyond)  # --fail-fast, or stopped by hand
    held = _reached(nodes, beyond | stray)
    refused: dict[str, list[str]] = {}
    for model in sorted(own):
        refused.setdefault(owners[model].use_case, []).append(nodes[model]["name"])
    of_refused = {model for model, owner in owners.items() if owner.use_case in refused}
    again = {
        model
        for model in of_refused - held
        if status.get(model) in FAILED and owners[model].kind in STAND_INS
    }
    made = again | {model for model in skipped if model in of_refused - held - own}
    waiting: list[str] = []
    stand_ins = sorted(again)
    for node in skipped:
        about = _models(nodes[node], node) & of_refused
        if node not in held and about <= made:
            (stand_ins if about else waiting).append(node)
    return Left(
        dict(sorted(refused.items())),
        [_selector(nodes[node]) for node in waiting],
        [_selector(nodes[node]) for node in stand_ins],
        [*sorted(nodes[node]["name"] for node in beyond), *([UNREACHED] if stray else [])],
    )


def _owners(nodes: Nodes) -> dict[str, Owner]:
    """The models that are of one use case, by their ids."""
    owners = {}
    for node in nodes.values():
        meta = node["config"].get("meta", {}).get("use_case")
        if node["resource_type"] == "model" and meta:
            name = node["name"].removeprefix("label_")
            models = {f"{kind}_{name}": kind for kind in OF_ONE}
            models[f"{PUBLISHED}_{meta.get('output_table')}"] = PUBLISHED
            for model, kind in models.items():
                owners[f"model.{node['package_name']}.{model}"] = Owner(name, kind)
    return owners


def _failures(
    nodes: Nodes, status: Mapping[str, str], owners: Mapping[str, Owner]
) -> tuple[set[str], set[str]]:
    """The models that failed, or of which a test did: those of one use case, and all others.

    A test is also of what a use case's models read; of what follows from them, it is of more.
    """
    own: set[str] = set()
    beyond: set[str] = set()
    for node, said in status.items():
        if said in FAILED:
            models = _models(nodes[node], node)
            kinds = {owners[model].kind for model in models if model in owners}
            of_one = models & set(owners)
            of_more = bool(_reached(nodes, of_one) & (models - of_one))
            if not of_one or of_more or (node not in models and PUBLISHED in kinds):
                beyond |= models
            else:
                own |= of_one
    return own, beyond


def _models(node: Mapping[str, Any], name: str) -> set[str]:
    """What a test is of; a model is of itself."""
    return set(node["depends_on"]["nodes"]) if node["resource_type"] in TESTS else {name}


def _reached(nodes: Nodes, roots: Collection[str]) -> set[str]:
    """These nodes and all that follow from them."""
    children: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for parent in node["depends_on"].get("nodes", []):
            children.setdefault(parent, []).append(name)
    reached: set[str] = set()
    ahead = list(roots)
    while ahead:
        node_id = ahead.pop()
        if node_id not in reached:
            reached.add(node_id)
            ahead += children.get(node_id, [])
    return reached


def _selector(node: Mapping[str, Any]) -> str:
    return f"fqn:{'.'.join(node['fqn'])}"


def _build(
    target: Path,
    options: Mapping[str, Any],
    refused: Mapping[str, list[str]],
    select: Iterable[str],
) -> bool:
    """One build of these nodes, with the options of the build that it goes on with; whether it was
    green.
    """
    arguments = [] if options.get("use_colors", True) else ["--no-use-colors"]
    arguments += ["build", "--select", "this_build", *select, "--indirect-selection", "empty"]
    arguments += ["--target-path", str(target.resolve()), "--profiles-dir", options["profiles_dir"]]
    if options.get("target"):
        arguments += ["--target", options["target"]]
    if options.get("vars"):
        arguments += ["--vars", json.dumps(options["vars"])]
    for kind in options.get("exclude_resource_types", []):
        arguments += ["--exclude-resource-type", kind]
    with builds.within(Path(options["project_dir"]), {"INSIGHTERA_REFUSED": json.dumps(refused)}):
        return bool(builds.run_dbt(*arguments).success)


def _read(target: Path, name: str) -> Any:
    path = target / name
    if not path.exists():
        raise InsighteraError(f"{path} is not there: no build ended here. Run `make build`.")
    return json.loads(path.read_text(encoding="utf-8"))
