"""The one door to MLflow: versions of models, who is champion, and how one becomes it.

A registered model has its use case's name. A version is registered after everything it refers to is
stored, in one transaction with its tags; its alias (`champion` or `challenger`) comes last, and
`settle` gives it to a version whose process was killed just before. A model file is read only where
its SHA-256 is the version's.

Most builds only ask who is champion, and importing MLflow for that takes longer than the rest of
such a build. So its answer is remembered beside a SQLite store, and holds as long as not one byte
of the store has changed.
"""

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from ml.core import settings
from ml.core.errors import InsighteraError

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
EXPERIMENT = "insightera"
MODEL_FILE = "model.pkl"  # as MLflow's scikit-learn flavour names it
SIGHT_FILE = "sight.json"
REQUIREMENTS = ("scikit-learn", "numpy", "pandas", "scipy", "cloudpickle")
TIMINGS = 20  # the best of so many is what the model needs; the others are the machine's other work


@dataclass(frozen=True)
class Version:
    """One registered version, without its model. `as_of`: naive UTC instant of the build that
    trained it. `source`: URI of the folder of its model file.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    as_of: datetime
    metrics: Mapping[str, float]
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    source: str = field(repr=False)
    tags: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Champion:
    """A loaded model. Its task's `answers(pipeline, frame)` is what it says, where `frame` is
    `ml.features.model_input.frame(table, features)`: the raw features, in that order.
    """

    name: str
    version: str
    pipeline: Any
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    metrics: Mapping[str, float]
    as_of: datetime


@dataclass(frozen=True)
class Draft:
    """A model as a file that was read back: its SHA-256, and milliseconds for one row (best of
    several).
    """

    folder: Path
    digest: str
    milliseconds: float


@dataclass(frozen=True)
class Verdict:
    """What the promotion rule says of a new version."""

    promote: bool
    reason: str


def verdict(
    promotion: Mapping[str, Any],
    score: float,
    champion_score: float | None,
    milliseconds: float,
    *,
    greater_is_better: bool,
    baseline: tuple[str, float, float] | None = None,
) -> Verdict:
    """Apply `promotion` (metric, minimum if any, margin, max_milliseconds) to measures on the same rows.

    Where more is better: score >= minimum, score > the baseline's, and score >= champion *
    (1 + margin). Where less is: score <= minimum, score < the baseline's, and score <= champion *
    (1 - margin). `baseline`: the best one's name, its measure,
    and the version's on the same rows.
    """
    metric, minimum, margin = promotion["metric"], promotion.get("minimum"), promotion["margin"]
    sign = 1 if greater_is_better else -1
    failures = []
    if minimum is not None and sign * score < sign * minimum:
        failures.append(f"{metric} {score:.4f} misses the minimum {minimum}")
    if baseline is not None and sign * baseline[2] <= sign * baseline[1]:
        failures.append(
            f"{metric} {baseline[2]:.4f} does not beat the baseline's {baseline[1]:.4f} "
            f"({baseline[0]})"
        )
    if champion_score is not None:
        bar = champion_score * (1 + sign * margin)
        if sign * score < sign * bar:
            failures.append(
                f"{metric} {score:.4f} does not beat the champion's {champion_score:.4f} by "
                f"{margin:.1%}"
            )
    if milliseconds > promotion["max_milliseconds"]:
        failures.append(
            f"one row takes {milliseconds:.1f} ms, more than {promotion['max_milliseconds']}"
        )
    if failures:
        return Verdict(False, "; ".join(failures))
    compared = "" if champion_score is None else f", the champion {champion_score:.4f}"
    return Verdict(True, f"{metric} {score:.4f}{compared}")


def draft(folder: Path, pipeline: Any, answers: Callable[[Any], Any]) -> Draft:
    """Write `pipeline` into `folder` (must not exist), read it back, and time it. `answers`: what a
    model says of one row, {name: array}.

    Raises InsighteraError where what was read back does not answer as the original does.
    """
    _quiet()
    import mlflow.sklearn

    mlflow.sklearn.save_model(
        pipeline,
        str(folder),
        # Named, so that MLflow does not import the model in a new process to find out.
        pip_requirements=[f"{package}=={installed(package)}" for package in REQUIREMENTS],
        serialization_format="cloudpickle",
    )
    data = (folder / MODEL_FILE).read_bytes()
    loaded = _unpickle(data)
    told, meant = answers(loaded), answers(pipeline)
    if any(
        not np.array_equal(told[name], said, equal_nan=said.dtype.kind == "f")
        for name, said in meant.items()
    ):
        raise InsighteraError(
            "The stored model answers differently from the trained one: not registered."
        )
    times = []
    for _ in range(TIMINGS):
        begin = time.perf_counter()
        answers(loaded)
        times.append(time.perf_counter() - begin)
    return Draft(folder, hashlib.sha256(data).hexdigest(), 1000 * min(times))


def register(
    name: str,
    model: Draft,
    *,
    verdict: Verdict,
    as_of: datetime,
    features: Sequence[str],
    categorical: Sequence[str],
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
    artifacts: Path,
    tags: Mapping[str, str],
    sight: Mapping[str, Any] | None = None,
) -> str:
    """Store the model, its measures and the files in `artifacts`, register a version, give it its
    alias. `sight`: what the model can tell apart of its features (`ml.features.model_input.Sight`).

    Returns the version. A process killed before the version exists leaves an MLflow run that
    nothing refers to; one killed after it is completed by `settle`.
    """
    client = _client()
    run = client.create_run(_experiment(client), run_name=f"{name} {as_of:%Y-%m-%d}")
    identity = run.info.run_id
    for key, value in metrics.items():
        client.log_metric(identity, key, value)
    for key, value in parameters.items():
        client.log_param(identity, key, value)
    client.log_artifacts(identity, str(artifacts))
    seen = json.dumps(sight or {}, sort_keys=True)
    client.log_text(identity, seen, SIGHT_FILE)
    client.log_artifacts(identity, str(model.folder), "model")
    if not client.search_registered_models(filter_string=f"name='{name}'"):
        client.create_registered_model(name)
    made = client.create_model_version(
        name,
        source=f"{run.info.artifact_uri}/model",
        run_id=identity,
        tags={
            **tags,
            "as_of": as_of.isoformat(),
            "features": json.dumps(list(features)),
            "categorical": json.dumps(list(categorical)),
            "metrics": json.dumps(dict(metrics)),
            "model_sha256": model.digest,
            "sight_sha256": hashlib.sha256(seen.encode()).hexdigest(),
            "milliseconds": f"{model.milliseconds:.3f}",
            "alias": CHAMPION if verdict.promote else CHALLENGER,
            "decision": verdict.reason,
            "settled": "no",
        },
    )
    client.set_terminated(identity)
    _settle(client, name, str(made.version), CHAMPION if verdict.promote else CHALLENGER)
    return str(made.version)


def settle(name: str) -> None:
    """Give the newest version its alias where the process that registered it was killed before it
    did.
    """
    for entry in list_versions(name)[:1]:
        if entry.tags.get("settled") == "no":
            _settle(_client(), name, entry.version, entry.tags["alias"])


def list_versions(name: str | None = None) -> list[Version]:
    """Versions of one model, or of all, by name and then newest first. No model is loaded."""
    if not _started():
        return []
    digest = _store_digest()
    found = _remembered(digest)
    if found is None:
        found = _ask()
        _remember(digest, found)
    return [entry for entry in found if name in (None, entry.name)]


def champion_entry(name: str) -> Version | None:
    """The champion's entry, None where there is none. No model is loaded."""
    return next((entry for entry in list_versions(name) if CHAMPION in entry.aliases), None)


def champion_version(name: str) -> str | None:
    """The champion's version, None where there is none. No model is loaded."""
    entry = champion_entry(name)
    return None if entry is None else entry.version


def champion(name: str) -> Champion | None:
    """The champion, loaded; None where there is none. Raises InsighteraError where its file was
    altered.
    """
    number = champion_version(name)
    return None if number is None else load(name, number)


def load(name: str, version: str) -> Champion:
    """Any version, loaded. Raises InsighteraError where it is unknown, lost, or not what was
    registered.
    """
    entry = _known(name, version)
    return Champion(
        name=name,
        version=entry.version,
        pipeline=_load(entry),
        features=entry.features,
        categorical=entry.categorical,
        metrics=entry.metrics,
        as_of=entry.as_of,
    )


def sight(entry: Version) -> Mapping[str, Any]:
    """What a version was registered to tell apart of its features; empty where that was not said. No
    model is loaded.

    Raises InsighteraError where the file cannot be read or was altered: who is scored depends on it.
    """
    digest = entry.tags.get("sight_sha256")
    if digest is None:  # by an earlier release
        return {}
    data = document(entry, SIGHT_FILE)
    _refuse_altered(entry, SIGHT_FILE, data, digest)
    held: Mapping[str, Any] = json.loads(data)
    return held


def document(entry: Version, file: str) -> bytes:
    """A file that was stored beside a version's model: its card, a picture, its measures.

    Raises InsighteraError where it cannot be read.
    """
    return _bytes(entry, f"{entry.source.rsplit('/', 1)[0]}/{file}")


def promote(name: str, version: str, reason: str) -> None:
    """Make `version` champion because a person says so: also back to an older one.

    The version must load. The reason is kept with it. The next build scores everyone with it.
    """
    if not reason.strip():
        raise InsighteraError("A promotion by hand needs a reason: it is kept with the version.")
    _load(_known(name, version))
    client = _client()
    settle(name)
    previous = champion_version(name)
    client.set_model_version_tag(name, version, "promotion_reason", reason.strip())
    client.set_model_version_tag(name, version, "promoted_over", previous or "none")
    _settle(client, name, version, CHAMPION)


def _settle(client: "MlflowClient", name: str, version: str, alias: str) -> None:
    client.set_registered_model_alias(name, alias, version)
    if alias == CHAMPION:  # no version is both
        challenger = client.get_registered_model(name).aliases.get(CHALLENGER)
        if str(challenger) == version:
            client.delete_registered_model_alias(name, CHALLENGER)
    client.set_model_version_tag(name, version, "settled", "yes")


def _ask() -> list[Version]:
    """All versions, as MLflow has them."""
    client = _client()
    found = []
    for model in _all(client.search_registered_models, None):
        aliases: dict[str, list[str]] = {}
        for alias, number in model.aliases.items():
            aliases.setdefault(str(number), []).append(alias)
        found += [
            _version(entry, tuple(sorted(aliases.get(str(entry.version), ()))))
            for entry in _all(client.search_model_versions, f"name='{model.name}'")
        ]
    return sorted(found, key=lambda entry: (entry.name, -int(entry.version)))


def _version(entry: Any, aliases: tuple[str, ...]) -> Version:
    tags = dict(entry.tags)
    try:
        return Version(
            name=entry.name,
            version=str(entry.version),
            aliases=aliases,
            as_of=datetime.fromisoformat(tags["as_of"]),
            metrics=json.loads(tags["metrics"]),
            features=tuple(json.loads(tags["features"])),
            categorical=tuple(json.loads(tags["categorical"])),
            source=entry.source,
            tags=tags,
        )
    except KeyError as error:
        raise InsighteraError(
            f"Version {entry.version} of model {entry.name} in {settings.mlflow_uri()} has no tag "
            f"{error}: it was "
            "not registered by INSIGHTERA. Delete it there, or register under another name."
        ) from error


def _store_digest() -> str | None:
    """SHA-256 of a SQLite store, its uncommitted files included; None where the store is a server."""
    store = _sqlite_store()
    if store is None:
        return None
    digest = hashlib.sha256(str(store).encode())
    for part in (store, *(store.with_name(store.name + end) for end in ("-journal", "-wal"))):
        if part.exists():
            digest.update(part.read_bytes())
    return digest.hexdigest()


def _memory() -> Path:
    return settings.home() / "registry_answer.json"


def _remembered(digest: str | None) -> list[Version] | None:
    """What MLflow said when the store had this digest, None where that is not known."""
    try:
        held = json.loads(_memory().read_text(encoding="utf-8"))
        if digest is None or held["digest"] != digest:
            return None
        return [
            Version(
                **entry
                | {key: tuple(entry[key]) for key in ("aliases", "features", "categorical")}
                | {"as_of": datetime.fromisoformat(entry["as_of"])}
            )
            for entry in held["versions"]
        ]
    except (OSError, ValueError, KeyError, TypeError):  # never written, or by another release
        return None


def _remember(digest: str | None, versions: Sequence[Version]) -> None:
    if digest is None:
        return
    entries = [asdict(entry) | {"as_of": entry.as_of.isoformat()} for entry in versions]
    _memory().parent.mkdir(parents=True, exist_ok=True)
    new = _memory().with_suffix(f".{os.getpid()}.new")
    new.write_text(json.dumps({"digest": digest, "versions": entries}), encoding="utf-8")
    new.replace(_memory())


def _known(name: str, version: str) -> Version:
    known = {entry.version: entry for entry in list_versions(name)}
    if version not in known:
        raise InsighteraError(
            f"No version {version} of model {name} in {settings.mlflow_uri()}. Versions: "
            f"{', '.join(sorted(known, key=int)) or 'none'}; `insightera models list` shows them."
        )
    return known[version]


def _load(entry: Version) -> Any:
    """Unpickle the bytes whose digest was compared, not the file again."""
    where = f"{entry.source}/{MODEL_FILE}"
    data = _bytes(entry, where)
    _refuse_altered(entry, where, data, entry.tags.get("model_sha256"))
    return _unpickle(data)


def _refuse_altered(entry: Version, where: str, data: bytes, digest: str | None) -> None:
    if hashlib.sha256(data).hexdigest() != digest:
        raise InsighteraError(
            f"Model {entry.name} version {entry.version}: {where} is not the file that was "
            "registered (its SHA-256 "
            "differs), so it was not loaded. Restore it from a backup, or promote another version "
            "(`insightera models promote`)."
        )


def _bytes(entry: Version, uri: str) -> bytes:
    """An artifact of a version. Raises InsighteraError where it cannot be read."""
    try:
        return _fetched(uri)
    except OSError as error:
        raise InsighteraError(
            f"Model {entry.name} version {entry.version}: {uri} cannot be read ({error}). Restore it, "
            "or promote another version (`insightera models promote`)."
        ) from error


def _fetched(uri: str) -> bytes:
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return Path(url2pathname(parts.path)).read_bytes()
    _quiet()
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with TemporaryDirectory() as folder:
        try:
            local = download_artifacts(
                artifact_uri=uri, dst_path=folder, tracking_uri=settings.mlflow_uri()
            )
        except MlflowException as error:
            raise OSError(str(error)) from error
        return Path(local).read_bytes()


def _unpickle(data: bytes) -> Any:
    import cloudpickle  # type: ignore[import-untyped]

    # Bytes of this process, or bytes whose digest the registry vouches for.
    return cloudpickle.loads(data)


def _all(search: Any, chosen: str | None) -> list[Any]:
    """All pages of an MLflow search."""
    found: list[Any] = []
    token = None
    while True:
        page = search(filter_string=chosen, page_token=token)
        found += list(page)
        token = page.token
        if not token:
            return found


def _sqlite_store() -> Path | None:
    """The store's file, None where it is a server."""
    uri = settings.mlflow_uri()
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _started() -> bool:
    """Whether there can be any version: a SQLite store that is not there yet is not made by
    asking.
    """
    store = _sqlite_store()
    return store is None or store.exists()


def _experiment(client: "MlflowClient") -> str:
    held = client.get_experiment_by_name(EXPERIMENT)
    if held is not None:
        return str(held.experiment_id)
    location = settings.mlflow_artifacts()
    if "://" not in location:
        location = Path(location).absolute().as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def _client() -> "MlflowClient":
    """A client of the store in force. (MLflow keeps one connection per address.)"""
    _quiet()
    from mlflow import MlflowClient

    uri, store = settings.mlflow_uri(), _sqlite_store()
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _quiet() -> None:
    """No telemetry, no look at git, no log lines between dbt's: before MLflow is first imported."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    logging.getLogger("alembic").setLevel(logging.ERROR)


def environment() -> dict[str, str]:
    """Versions that a model depends on, for its tags."""
    return {"python": platform.python_version(), **{p: installed(p) for p in REQUIREMENTS}}
