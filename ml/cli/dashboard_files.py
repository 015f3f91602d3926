"""Checks the dashboards' YAML against dbt's manifest: every dashboard leads over charts and datasets
to columns that a report really has, and to an exposure.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ml.core import settings
from ml.core.errors import InsighteraError

KINDS = ("databases", "datasets", "charts", "dashboards")
# Where a chart names columns: one name, or a list of them.
COLUMN_PARAMETERS = ("x_axis", "groupby", "groupbyColumns", "groupbyRows", "columns", "all_columns")
METRIC_PARAMETERS = ("metric", "metrics", "metric_2", "secondary_metric", "timeseries_limit_metric")


@dataclass(frozen=True)
class Asset:
    """One YAML file of Superset's export format; `name` is its path below `superset/`."""

    name: str
    kind: str
    content: Mapping[str, Any]

    @property
    def uuid(self) -> str:
        return str(self.content.get("uuid", ""))


@dataclass(frozen=True)
class Project:
    """Assets by kind and uuid, and what the manifest and the project file say."""

    assets: tuple[Asset, ...]
    manifest: Mapping[str, Any]
    protected: frozenset[str]

    def of(self, kind: str) -> dict[str, Asset]:
        return {asset.uuid: asset for asset in self.assets if asset.kind == kind}

    @cached_property
    def models(self) -> dict[str, Mapping[str, Any]]:
        nodes = self.manifest["nodes"].values()
        return {node["name"]: node for node in nodes if node["resource_type"] == "model"}

    @cached_property
    def served(self) -> set[str]:
        """Models that are copied into the serving file."""
        server = self.models.get("serve_reports", {"depends_on": {"nodes": []}})
        return {name.split(".")[-1] for name in server["depends_on"]["nodes"]}


def check(folder: Path | None = None, manifest: Path | None = None) -> tuple[int, list[str]]:
    """How many files were looked at, and what is wrong, one line each: file, and what.

    `folder`: default `superset/`. `manifest`: default is that of a fresh `dbt parse`.
    """
    root = folder or settings.PROJECT / "superset"
    found, problems = _load(root)
    settings_file = yaml.safe_load((settings.PROJECT / "dbt_project.yml").read_text())
    project = Project(
        tuple(found),
        json.loads((manifest or _parsed()).read_text()),
        frozenset(settings_file["vars"]["protected_attributes"]),
    )
    problems += [
        *_uuids(project),
        *_datasets(project),
        *_charts(project),
        *_dashboards(project),
        *_exposures(project),
    ]
    return len(found), problems


def _load(root: Path) -> tuple[list[Asset], list[str]]:
    assets, problems = [], []
    for kind in KINDS:
        for path in sorted((root / kind).rglob("*.yaml")):
            name = str(path.relative_to(root))
            try:
                content = yaml.safe_load(path.read_text())
            except yaml.YAMLError as error:
                problems.append(f"{name}: no YAML: {error}")
                continue
            assets.append(Asset(name, kind, content))
    if not assets:
        raise InsighteraError(f"{root} holds no dashboards (databases/, datasets/, charts/, …).")
    return assets, problems


def _parsed() -> Path:
    """A manifest of the project as it is now."""
    command = [str(Path(sys.executable).parent / "dbt"), "--quiet", "parse"]
    environment = {"DBT_PROFILES_DIR": str(settings.PROJECT / "profiles")} | dict(os.environ)
    done = subprocess.run(  # noqa: S603
        command, cwd=settings.PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InsighteraError(
            "The project does not parse, so its dashboards cannot be checked:\n"
            + (done.stdout + done.stderr).strip()
        )
    target = os.environ.get("DBT_TARGET_PATH", "") or settings.PROJECT / "target"
    return Path(target) / "manifest.json"


def _uuids(project: Project) -> Iterator[str]:
    first: dict[str, str] = {}
    for asset in project.assets:
        if not asset.uuid:
            yield f"{asset.name}: has no uuid"
        elif asset.uuid in first:
            yield f"{asset.name}: has the uuid of {first[asset.uuid]}"
        first.setdefault(asset.uuid, asset.name)


def _datasets(project: Project) -> Iterator[str]:
    for asset in project.of("datasets").values():
        content = asset.content
        model = content["table_name"]
        if str(content["database_uuid"]) not in project.of("databases"):
            yield f"{asset.name}: no file in databases/ has the uuid {content['database_uuid']}"
        if content.get("sql") or content.get("metrics"):
            yield f"{asset.name}: has SQL of its own (sql, metrics): that belongs in {model}.sql"
        if model not in project.models:
            yield f"{asset.name}: table {model} is no model of the project"
            continue
        node = project.models[model]
        if node["access"] != "public" or not node["contract"]["enforced"]:
            yield f"{asset.name}: {model} is not public with an enforced contract"
        if model not in project.served:
            yield f"{asset.name}: {model} is not in serve_reports.py, so not in the serving file"
        for column in content.get("columns", []):
            name = column["column_name"]
            if column.get("expression"):
                yield f"{asset.name}: column {name} has SQL of its own: that belongs in {model}.sql"
            if name not in node["columns"]:
                yield f"{asset.name}: model {model} has no column {name}"
            if name in project.protected:
                yield f"{asset.name}: column {name} is a protected attribute"


def _charts(project: Project) -> Iterator[str]:
    datasets = project.of("datasets")
    shown = {uuid for board in project.of("dashboards").values() for uuid in _chart_uuids(board)}
    for asset in project.of("charts").values():
        if asset.uuid not in shown:
            yield f"{asset.name}: is on no dashboard"
        dataset = datasets.get(str(asset.content["dataset_uuid"]))
        if dataset is None:
            uuid = asset.content["dataset_uuid"]
            yield f"{asset.name}: no file in datasets/ has the uuid {uuid}"
            continue
        known = _columns(dataset)
        names, problems = _named(asset.content.get("params", {}))
        yield from (f"{asset.name}: {problem}" for problem in problems)
        for name in sorted(names - known):
            yield f"{asset.name}: dataset {dataset.name} has no column {name}"


def _columns(dataset: Asset) -> set[str]:
    return {column["column_name"] for column in dataset.content.get("columns", [])}


def _named(params: Mapping[str, Any]) -> tuple[set[str], list[str]]:
    """The columns that a chart's parameters name, and what there is beyond names."""
    names: set[str] = set()
    problems: list[str] = []
    labels: set[str] = set()
    for key in METRIC_PARAMETERS:
        for metric in _several(params.get(key)):
            if isinstance(metric, Mapping) and metric.get("expressionType") == "SIMPLE":
                names.add(metric["column"]["column_name"])
                labels.add(metric.get("label", ""))
            else:
                problems.append(f"{key} has SQL of its own: {metric}")
    for key in COLUMN_PARAMETERS:
        for column in _several(params.get(key)):
            if isinstance(column, str):
                names.add(column)
            else:
                problems.append(f"{key} has SQL of its own: {column}")
    for condition in params.get("adhoc_filters") or []:
        if condition.get("expressionType") == "SIMPLE":
            names.add(condition["subject"])
        else:
            problems.append(f"adhoc_filters has SQL of its own: {condition.get('sqlExpression')}")
    names |= {json.loads(order)[0] for order in params.get("order_by_cols") or []}
    names |= {*_several(params.get("x_axis_sort"))} - labels
    names |= set(params.get("column_config") or {}) - labels
    return names, problems


def _several(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _dashboards(project: Project) -> Iterator[str]:
    charts, datasets = project.of("charts"), project.of("datasets")
    for board in project.of("dashboards").values():
        for uuid in _chart_uuids(board):
            if uuid not in charts:
                yield f"{board.name}: no file in charts/ has the uuid {uuid}"
        for shown in _filters(board):
            if shown["controlValues"].get("defaultToFirstItem") and not shown.get("requiredFirst"):
                yield (
                    f"{board.name}: filter {shown['name']} has a first value that is not applied "
                    "before someone asks for it: requiredFirst"
                )
            for target in shown["targets"]:
                column = target["column"]["name"]
                dataset = datasets.get(str(target["datasetUuid"]))
                if dataset is None:
                    yield (
                        f"{board.name}: filter {shown['name']}: no file in datasets/ has the uuid "
                        f"{target['datasetUuid']}"
                    )
                elif column not in _columns(dataset):
                    yield (
                        f"{board.name}: filter {shown['name']}: dataset {dataset.name} has no "
                        f"column {column}"
                    )
                elif shown["controlValues"].get("enableEmptyFilter"):
                    yield from _out_of_reach(project, board, shown["name"], column)


def _out_of_reach(project: Project, board: Asset, name: str, column: str) -> Iterator[str]:
    """Charts that would ignore a filter which always has a value, or average over its values."""
    charts, datasets = project.of("charts"), project.of("datasets")
    for uuid in _chart_uuids(board):
        chart = charts.get(uuid)
        dataset = datasets.get(str(chart.content["dataset_uuid"])) if chart else None
        if chart is None or dataset is None:
            continue
        if column not in _columns(dataset):
            yield (
                f"{board.name}: filter {name} does not reach {chart.name}: dataset {dataset.name} "
                f"has no column {column}"
            )
        for metric in _several(chart.content["params"].get("metrics")):
            if isinstance(metric, Mapping) and metric.get("aggregate") == "AVG":
                yield f"{chart.name}: averages over {column}, which {board.name} filters by"


def _chart_uuids(board: Asset) -> list[str]:
    places = board.content.get("position", {}).values()
    return [
        str(place["meta"]["uuid"])
        for place in places
        if isinstance(place, Mapping) and place.get("type") == "CHART"
    ]


def _filters(board: Asset) -> list[Any]:
    return list(board.content.get("metadata", {}).get("native_filter_configuration", []))


def _exposures(project: Project) -> Iterator[str]:
    """Exposures and dashboards name one another, and agree on the reports that are read."""
    boards = {Path(board.name).stem: board for board in project.of("dashboards").values()}
    exposures = {entry["name"]: entry for entry in project.manifest["exposures"].values()}
    for name, exposure in exposures.items():
        where = f"{exposure['original_file_path']}: exposure {name}"
        missing = [key for key in ("url", "maturity", "description") if not exposure.get(key)]
        if not (exposure["owner"].get("name") and exposure["owner"].get("email")):
            missing.append("owner")
        if missing:
            yield f"{where} has no {', '.join(missing)}"
        if exposure["type"] == "dashboard" and name not in boards:
            yield f"{where} names no dashboard: superset/dashboards/{name}.yaml does not exist"
    for name, board in boards.items():
        if name not in exposures:
            yield f"{board.name}: no exposure is named {name}"
            continue
        exposure = exposures[name]
        where = f"{exposure['original_file_path']}: exposure {name}"
        if f"/dashboard/{board.content.get('slug')}/" not in (exposure.get("url") or ""):
            yield f"{where}: its url does not lead to /dashboard/{board.content.get('slug')}/"
        read = {node.split(".")[-1] for node in exposure["depends_on"]["nodes"]}
        used = set(_models_of(project, board))
        if read != used:
            yield (
                f"{where} depends on {sorted(read - used) or 'nothing'} beyond what its charts "
                f"read, and lacks {sorted(used - read) or 'nothing'}"
            )


def _models_of(project: Project, board: Asset) -> Iterable[str]:
    charts, datasets = project.of("charts"), project.of("datasets")
    for uuid in _chart_uuids(board):
        chart = charts.get(uuid)
        dataset = datasets.get(str(chart.content["dataset_uuid"])) if chart else None
        if dataset:
            yield dataset.content["table_name"]
