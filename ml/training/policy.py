"""Whether to train: decided before anything heavy is imported, since most builds keep their champion."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from ml import registry
from ml.core.turns import turn
from ml.core.use_case import Build, UseCase

DECISION = pa.schema(
    [
        ("use_case", pa.string()),
        ("model_name", pa.string()),
        ("champion_version", pa.string()),  # after the decision
        ("trained_version", pa.string()),  # null where this build registered none
        ("decision", pa.string()),
        ("metric", pa.string()),  # of the promotion rule
        ("score", pa.float64()),
        ("champion_score", pa.float64()),  # of the champion before, on rows it had not learned from
        ("baseline", pa.string()),  # the strongest
        ("baseline_score", pa.float64()),  # its measure on the validation rows
        ("milliseconds", pa.float64()),
        ("rows", pa.int64()),
        ("entities", pa.int64()),
        ("features", pa.int64()),
        ("training_snapshot_id", pa.int64()),
        ("as_of", pa.timestamp("us")),
        ("run_id", pa.string()),
    ]
)


VERSIONS = pa.schema(
    [
        ("use_case", pa.string()),
        ("model_version", pa.string()),
        ("role", pa.string()),  # champion, challenger, former
        ("decision", pa.string()),
        ("caution", pa.string()),  # where a band did not keep its promise; null where each did
        ("metric", pa.string()),  # the one that decides
        ("score", pa.float64()),
        ("baseline_score", pa.float64()),  # of the strongest baseline, on the same rows
        ("features", pa.int64()),
        ("trained_as_of", pa.timestamp("us")),
        ("git_commit", pa.string()),
    ]
)
CAUTION = "caution"  # a version's tag
BASELINE = "baseline_score"  # a version's tag
MEASURED = pa.schema(
    [
        ("use_case", pa.string()),
        ("model_version", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float64()),
    ]
)


def versions(*, build: Any) -> pa.Table:
    """Every registered version of the build's use cases that was trained by its `as_of`
    (`VERSIONS`). No model is loaded.
    """
    made = Build.read(build)
    metrics = {name: made.metric(name) for name in made.use_cases}
    rows = [
        {
            "use_case": entry.name,
            "model_version": entry.version,
            "role": ", ".join(entry.aliases) or "former",
            "decision": entry.tags.get("decision"),
            "caution": entry.tags.get(CAUTION) or None,
            "metric": metrics[entry.name],
            "score": entry.metrics.get(metrics[entry.name] or ""),
            "baseline_score": _float(entry.tags.get(BASELINE)),
            "features": len(entry.features),
            "trained_as_of": entry.as_of,
            "git_commit": entry.tags.get("git_commit"),
        }
        for entry in _registered(made)
    ]
    return pa.Table.from_pylist(rows, schema=VERSIONS)


def measures(*, build: Any) -> pa.Table:
    """Every measure of the versions that `versions` lists, one row each (`MEASURED`)."""
    rows = [
        {"use_case": entry.name, "model_version": entry.version, "measure": name, "value": value}
        for entry in _registered(Build.read(build))
        for name, value in sorted(entry.metrics.items())
    ]
    return pa.Table.from_pylist(rows, schema=MEASURED)


def _registered(build: Build) -> list[registry.Version]:
    return [
        entry
        for entry in registry.list_versions()
        if entry.name in build.use_cases and entry.as_of <= build.as_of
    ]


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)


def train(
    name: str,
    *,
    build: Any,
    spine: Any,
    features: Mapping[str, Any],
    connection: Any,
) -> pa.Table:
    """Train use case `name` where its policy asks for it; one row (`DECISION`) says what was
    decided. The thin dbt models call this.

    `build`: relation `this_build`, one row. `spine` and `features` as `ml.training.procedure.train` takes
    them, on `connection`. A use case that the build refused is not trained. Raises InsighteraError
    where the use case's YAML contradicts itself.
    """
    made = Build.read(build)
    if name in made.refused:
        return decision(made, name, f"not trained: {', '.join(made.refused[name])} failed")
    use_case = made.use_case(name)
    registry.settle(name)
    versions = registry.list_versions(name)
    reason = kept(use_case, made.as_of, versions)
    if reason is not None:
        return decision(made, name, reason)
    with turn():
        from ml.training import procedure

        return procedure.train(made, use_case, spine, features, connection, versions)


def kept(
    use_case: UseCase,
    as_of: datetime,
    versions: Sequence[registry.Version],
) -> str | None:
    """Why nothing is to be trained, or None. The policy is described in docs/use-cases.md."""
    champion = next((entry for entry in versions if registry.CHAMPION in entry.aliases), None)
    policy, most = use_case.retrain["policy"], use_case.retrain["max_age_days"]
    if policy == "never":
        return (
            "kept champion: retrain policy is never"
            if champion
            else ("not trained: there is no champion, and the retrain policy is never")
        )
    if champion is None:
        return None
    if champion.as_of > as_of:
        return (
            f"kept champion: it was trained as of {champion.as_of:%Y-%m-%d %H:%M}, later than "
            "this build; "
            "to replay the past without its knowledge, build in a new INSIGHTERA_HOME"
        )
    age = (as_of - champion.as_of).days
    newest = max(entry.as_of for entry in versions)
    if policy == "always" or (as_of - newest).days > most:
        return None
    if age > most:
        return f"kept champion: {age} days old, but tried again {(as_of - newest).days} days ago"
    return f"kept champion: {age} days old"


def decision(build: Build, name: str, words: str, **facts: Any) -> pa.Table:
    """The row of `DECISION` of use case `name` that says so; `facts` are its other columns."""
    row = dict.fromkeys(DECISION.names) | {
        "use_case": name,
        "model_name": name,
        "champion_version": registry.champion_version(name),
        "decision": words,
        "metric": build.metric(name),
        "as_of": build.as_of,
        "run_id": build.run_id,
        **facts,
    }
    return pa.Table.from_pylist([row], schema=DECISION)
