"""What a use case needs beside its label, written from the label's YAML.

dbt wants a file per node, with the names of its parents written out: so they are generated, kept in
git, and headed by where they come from. Values with Jinja in them are taken as they are.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml.cli.use_case_columns import TASKS, TRAINED, Described, columns_of
from ml.core.errors import InsighteraError

MARK = "Written by `insightera use-cases sync`"
FOLDERS = ("python_models", "models/monitoring", "macros/monitoring")
NEEDED = ("task", "outcome", "entity_keys", "features", "attributes_from", "attributes")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Declared:
    """A use case as its label's YAML declares it. `tables`: name in the join -> feature model."""

    name: str
    meta: Mapping[str, Any]
    described: Mapping[str, str]  # columns of the label
    shown: Mapping[str, str]  # the attributes, as the predictions call them
    tables: Mapping[str, str]

    @property
    def published(self) -> str:
        """The model that publishes."""
        return f"published_{self.meta['output_table']}"

    @property
    def source(self) -> str:
        """Where it is declared."""
        return f"models/labels/label_{self.name}.yml"


def declared(project: Path) -> list[Declared]:
    """The project's use cases, by name. Raises InsighteraError, with the file and the field, for one
    from which nothing can be written.
    """
    found = []
    for path in sorted((project / "models" / "labels").glob("label_*.yml")):
        model = models_of(path).get(path.stem, {})
        meta = _meta(model)
        if meta is not None:
            found.append(_declared(project, path, model, meta))
    _refuse_shared_tables(found)
    return found


def _meta(model: Mapping[str, Any]) -> Mapping[str, Any] | None:
    meta = (model.get("config") or {}).get("meta") or {}
    use_case: Mapping[str, Any] | None = meta.get("use_case")
    return use_case


def _declared(
    project: Path, path: Path, model: Mapping[str, Any], meta: Mapping[str, Any]
) -> Declared:
    where = f"{path.relative_to(project)}: meta.use_case"
    missing = [key for key in (*NEEDED, "output_table") if key not in meta]
    if missing:
        raise InsighteraError(
            f"{where} misses {', '.join(missing)}. The fields are described in docs/use-cases.md."
        )
    if meta["task"] not in TASKS:
        raise InsighteraError(f"{where}.task is {meta['task']!r}; use one of {', '.join(TASKS)}.")
    for key in ("outcome", "output_table", "attributes_from"):
        if not isinstance(meta[key], str) or not _NAME.fullmatch(meta[key]):
            raise InsighteraError(
                f"{where}.{key} is {meta[key]!r}; write lower-case letters, digits and underscores."
            )
    for key in ("entity_keys", "features"):
        if not isinstance(meta[key], list) or not meta[key]:
            raise InsighteraError(f"{where}.{key} is {meta[key]!r}; write a list of names.")
    attributes = model_file(project, meta["attributes_from"])
    if attributes is None:
        raise InsighteraError(
            f"{where}.attributes_from: there is no model {meta['attributes_from']}."
        )
    described = column_texts(models_of(attributes).get(meta["attributes_from"], {}))
    lacking = [column for column in meta["attributes"] if column not in described]
    if lacking:
        raise InsighteraError(
            f"{where}.attributes: {meta['attributes_from']} has no column {', '.join(lacking)}."
        )
    own = {"classification": ("thresholds",), "anomaly": ("severities", "flagged_share")}
    absent = [key for key in own.get(meta["task"], ()) if not meta.get(key)]
    if absent:
        raise InsighteraError(f"{where} misses {', '.join(absent)}, as {meta['task']} needs it.")
    return Declared(
        path.stem.removeprefix("label_"),
        meta,
        {**described, **column_texts(model)},
        _shown(meta, described),
        _tables(project, where, meta["features"]),
    )


def _shown(meta: Mapping[str, Any], described: Mapping[str, str]) -> dict[str, str]:
    """What an answer carries of the attributes' model, whose columns are `described`; once for each
    side where that model is of one side's entity.
    """
    sides = {
        f"{side}__": f" Of side {side}."
        for side, keys in (meta.get("join_key_map") or {}).items()
        if set(meta["entity_keys"]) - set(described) and set(keys) <= set(described)
    }
    return {
        prefix + column: (described[column] or "Attribute of the entity.") + said
        for prefix, said in (sides or {"": ""}).items()
        for column in meta["attributes"]
    }


def _refuse_shared_tables(found: Sequence[Declared]) -> None:
    owners: dict[str, Declared] = {}
    for use_case in found:
        first = owners.setdefault(use_case.meta["output_table"], use_case)
        if first is not use_case:
            raise InsighteraError(
                f"{use_case.source}: meta.use_case.output_table {use_case.meta['output_table']} is "
                f"that of {first.name} already; give each use case a table of its own."
            )


def _tables(project: Path, where: str, features: Sequence[str]) -> dict[str, str]:
    """Each feature model by its name in the join: `features_<entity>_<subject>`, in the folder of its
    entity, is `<subject>`.
    """
    tables: dict[str, str] = {}
    for model in features:
        path = model_file(project, str(model))
        if path is None:
            raise InsighteraError(f"{where}.features: there is no model {model}.")
        subject = model.removeprefix(f"features_{path.parent.name}_").removeprefix("features_")
        if tables.setdefault(subject, model) != model:
            raise InsighteraError(
                f"{where}.features: {tables[subject]} and {model} would both be called {subject}."
            )
    return tables


def model_file(project: Path, model: str) -> Path | None:
    """The YAML of a model."""
    return next(iter(sorted((project / "models").rglob(f"{model}.yml"))), None)


def models_of(path: Path) -> dict[str, Mapping[str, Any]]:
    """What a YAML file says of models, by their names."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise InsighteraError(f"{path} is no YAML: {error}") from None
    return {model["name"]: model for model in content.get("models") or []}


def column_texts(model: Mapping[str, Any]) -> dict[str, str]:
    """What a model's YAML says of each column."""
    columns = model.get("columns") or []
    return {column["name"]: str(column.get("description", "")).strip() for column in columns}


def written(project: Path) -> dict[str, str]:
    """Every generated file, by its path in the project: what `sync` writes."""
    use_cases = declared(project)
    files: dict[str, str] = {}
    for use_case in use_cases:
        files |= _of_one(use_case)
    return files | _of_all(project, use_cases)


def differences(project: Path) -> list[str]:
    """Paths whose files are not as they would be written, missing and superfluous ones included."""
    wanted = written(project)
    held = {path for path in wanted if _text(project / path) == wanted[path]}
    return sorted({*wanted, *_generated(project)} - held)


def sync(project: Path) -> list[str]:
    """Write what differs and remove what no use case needs; the paths.

    Only files that carry the heading are replaced or removed. Raises InsighteraError, before
    anything is written, where a file of the same name does not.
    """
    wanted, generated = written(project), _generated(project)
    by_hand = [path for path in wanted if (project / path).exists() and path not in generated]
    if by_hand:
        raise InsighteraError(
            f"Written by hand, and so left alone: {', '.join(by_hand)}. Remove what is to be "
            "generated, and run this again."
        )
    changed = differences(project)
    for path in changed:
        target = project / path
        if path in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(wanted[path], encoding="utf-8")
        else:
            target.unlink()
    return changed


def _generated(project: Path) -> set[str]:
    """Paths of the files there are that carry the heading."""
    return {
        path.relative_to(project).as_posix()
        for folder in FOLDERS
        for path in (project / folder).rglob("*.*")
        if path.suffix in (".py", ".sql", ".yml") and MARK in _text(path)[:200]
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _of_one(use_case: Declared) -> dict[str, str]:
    """The five nodes of a use case, two files each."""
    name, published = use_case.name, use_case.published
    nodes = {
        f"python_models/training/train_{name}": (_train, _train_yaml),
        f"python_models/scoring/score_{name}": (_score, _score_yaml),
        f"python_models/publishing/{published}": (_publish, _publish_yaml),
        f"python_models/lake/monitor_training_{name}": (_training_set, _training_set_yaml),
    }
    head = f"# {MARK} from {use_case.source}: change that.\n"
    files = {}
    for path, (code, described) in nodes.items():
        files[f"{path}.py"] = head + code(use_case)
        files[f"{path}.yml"] = head + _yaml(described(use_case))
    population = f"models/monitoring/monitor_population_{name}"
    files[f"{population}.sql"] = (
        f"{{#- {MARK} from {use_case.source}: change that. -#}}\n"
        f"{{{{ current_population('{name}') }}}}\n"
    )
    files[f"{population}.yml"] = head + _yaml(_population_yaml(use_case))
    return files


def _model(doc: str, body: str, *, session: bool = True) -> str:
    """A thin Python model, as ruff formats it."""
    unused = "" if session else "  # noqa: ARG001"
    return f'def model(dbt, session):{unused}\n    """{doc}"""\n{body}'


def _refs(tables: Mapping[str, str], indent: int) -> str:
    return "".join(
        f'{" " * indent}"{name}": dbt.ref("{model}"),\n' for name, model in tables.items()
    )


def _train(use_case: Declared) -> str:
    return _model(
        "One row: what training decided in this build, and the champion that scoring is to use.",
        f"""    from ml import training

    dbt.config(materialized="table")
    return training.train(
        "{use_case.name}",
        build=dbt.ref("this_build"),
        spine=dbt.ref("label_{use_case.name}"),
        features={{
{_refs(use_case.tables, 12)}        }},
        connection=session,
    )
""",
    )


def _score(use_case: Declared) -> str:
    return _model(
        "This build's predictions, read back from the audit branch: its tests are the audit.",
        f"""    from ml import scoring

    dbt.config(materialized="table")
    return scoring.score(
        "{use_case.name}",
        build=dbt.ref("this_build"),
        spine=dbt.ref("label_{use_case.name}"),
        features={{
{_refs(use_case.tables, 12)}        }},
        attributes=dbt.ref("{use_case.meta["attributes_from"]}"),
        trained=dbt.ref("train_{use_case.name}"),
        connection=session,
    )
""",
    )


def _publish(use_case: Declared) -> str:
    return _model(
        "Current predictions from `main`, after what passed its audit has moved there.",
        f"""    from ml import publishing

    dbt.config(materialized="table")
    return publishing.publish(
        "{use_case.name}",
        build=dbt.ref("this_build"),
        audited=dbt.ref("score_{use_case.name}"),
        connection=session,
    )
""",
    )


def _training_set(use_case: Declared) -> str:
    return _model(
        "What the champion was trained on, from the lake.",
        f"""    from ml import monitoring

    dbt.config(materialized="table")
    dbt.ref("train_{use_case.name}")
    return monitoring.training_set(
        "{use_case.name}",
        build=dbt.ref("this_build"),
        connection=session,
    )
""",
    )


def _described_model(name: str, description: str, columns: Sequence[Described]) -> dict[str, Any]:
    """One model's part of a YAML file."""
    return {
        "name": name,
        "description": description,
        "columns": [
            {
                "name": column.name,
                "description": column.description,
                **({"data_tests": list(column.tests)} if column.tests else {}),
            }
            for column in columns
        ],
    }


def _train_yaml(use_case: Declared) -> dict[str, Any]:
    columns = [Described(name, said) for name, said in TRAINED.items()]
    said = "One row: what training decided in this build, and the champion that scoring uses."
    return {"models": [_described_model(f"train_{use_case.name}", said, columns)]}


def _score_yaml(use_case: Declared) -> dict[str, Any]:
    columns, tests, audit = columns_of(
        use_case.name, use_case.meta, use_case.described, use_case.shown
    )
    said = (
        f"One row per {_and(audit.key)} scored by this build, read back from the audit branch. These "
        "tests are the audit: where one fails, none of these rows is published."
    )
    model = _described_model(f"score_{use_case.name}", said, columns)
    return {"models": [{**model, "data_tests": tests}]}


def _publish_yaml(use_case: Declared) -> dict[str, Any]:
    columns, _, audit = columns_of(use_case.name, use_case.meta, use_case.described, use_case.shown)
    said = f"One row per {_and(audit.key)}: the latest prediction on `main` at `as_of`."
    plain = [Described(column.name, column.description) for column in columns]
    model = _described_model(use_case.published, said, plain)
    key = {"primary_key": {"arguments": {"columns": list(audit.key)}}}
    return {"models": [{**model, "data_tests": [key]}]}


def _training_set_yaml(use_case: Declared) -> dict[str, Any]:
    columns = [
        Described("model_version", "Champion's version."),
        Described(
            "trained_as_of", "The instant from which the build saw the world that trained it, UTC."
        ),
    ]
    said = (
        "One row per row of the champion's training set: after these two columns, its features as "
        "the lake keeps them (numbers, booleans as 0 and 1, or text). Read from the Iceberg snapshot "
        "that is bound to the version; no rows without a champion. Protected attributes are not in it."
    )
    return {"models": [_described_model(f"monitor_training_{use_case.name}", said, columns)]}


def _population_yaml(use_case: Declared) -> dict[str, Any]:
    name, keys = use_case.name, use_case.meta["entity_keys"]
    columns = [
        *(Described(key, use_case.described.get(key, "Key of the entity.")) for key in keys),
        Described("cutoff", "`as_of`, or the same time 364 days before, UTC."),
    ]
    said = (
        f"One row per {_and(keys)} that is scored at `as_of`, and one per {_and(keys)} that was asked "
        "about in the same week last year: after these columns, the champion's features as they were "
        "known then, by the join that training and scoring use."
    )
    return {
        "models": [_described_model(f"monitor_population_{name}", said, columns)],
        "unit_tests": [_population_test(use_case)],
    }


def _population_test(use_case: Declared) -> dict[str, Any]:
    """Only the rows at `as_of` are who is scored, whatever their label; last year's are the latest
    of the last week of cutoffs before the same instant then.
    """
    name, keys = use_case.name, use_case.meta["entity_keys"]
    instant, year_before = "2024-08-01 12:00:00", "2023-08-03 12:00:00"
    asked = [
        ("1", instant),
        ("1", "2024-07-29 00:00:00"),
        ("4", "2023-08-07 00:00:00"),  # after the same instant last year
        ("1", "2023-07-31 00:00:00"),
        ("1", "2023-07-28 00:00:00"),  # not the latest
        ("2", "2023-07-28 00:00:00"),
        ("3", "2023-07-24 00:00:00"),  # asked no more
    ]
    rows = [{**dict.fromkeys(keys, entity), "cutoff": cutoff} for entity, cutoff in asked]
    watched = [("1", instant), ("1", year_before), ("2", year_before)]
    empty = [f"monitor_training_{name}", *use_case.tables.values()]
    given: dict[str, list[dict[str, Any]]] = {
        "this_build": [{"as_of": instant}],
        f"label_{name}": rows,
        **{model: [] for model in empty},
    }
    return {
        "name": f"monitor_population_{name}_is_who_is_scored",
        "description": "The rows at `as_of`, as scoring takes them, and who was asked about last in the same week last year; other rows are not.",
        "model": f"monitor_population_{name}",
        "overrides": {
            "macros": {"monitored_features": [], "use_case_meta": {"entity_keys": list(keys)}}
        },
        "given": [{"input": f"ref('{model}')", "rows": rows} for model, rows in given.items()],
        "expect": {
            "rows": [
                {**dict.fromkeys(keys, entity), "cutoff": cutoff} for entity, cutoff in watched
            ]
        },
    }


def _of_all(project: Path, use_cases: Sequence[Declared]) -> dict[str, str]:
    """What gathers all use cases: its parents are written out as well."""
    head = f"# {MARK} from models/labels/ and models/reporting/: change those.\n"
    published = [use_case.published for use_case in use_cases]
    gathered: dict[str, Callable[[], str]] = {
        "python_models/training/trained_versions.py": lambda: _gather(
            "Every registered version, from the registry.",
            "training",
            [f"train_{use_case.name}" for use_case in use_cases],
            'training.versions(build=dbt.ref("this_build"))',
        ),
        "python_models/training/trained_measures.py": lambda: _gather(
            "Every measure of every registered version, a row each.",
            "training",
            [f"train_{use_case.name}" for use_case in use_cases],
            'training.measures(build=dbt.ref("this_build"))',
        ),
        "python_models/publishing/published_receipts.py": lambda: _gather(
            "Every publication there ever was, from the lake.",
            "publishing",
            published,
            'publishing.receipts(build=dbt.ref("this_build"))',
        ),
        "python_models/lake/monitor_prediction_history.py": lambda: _gather(
            "Every published prediction, from the lake.",
            "monitoring",
            published,
            'monitoring.prediction_history(build=dbt.ref("this_build"), connection=session)',
        ),
        "python_models/lake/monitor_reviews.py": lambda: _gather(
            "What people said of anomalies, from the lake.",
            "monitoring",
            published,
            'monitoring.reviews(build=dbt.ref("this_build"))',
        ),
        "python_models/serving/serve_reports.py": lambda: _serve(project),
    }
    files = {path: head + code() for path, code in gathered.items()}
    return files | {"macros/monitoring/monitored_use_cases.sql": _monitored(use_cases)}


def _gather(doc: str, room: str, parents: Sequence[str], call: str) -> str:
    refs = "".join(f'    dbt.ref("{parent}")\n' for parent in parents)
    return _model(
        doc,
        f'    from ml import {room}\n\n    dbt.config(materialized="table")\n{refs}    return {call}\n',
        session="connection=session" in call,
    )


def _serve(project: Path) -> str:
    reports = sorted(path.stem for path in (project / "models/reporting").rglob("report_*.sql"))
    return _model(
        "One row: the serving file that this build put in the place of the former one.",
        f"""    from ml.publishing import serving

    dbt.config(materialized="table")
    return serving.replace(
        build=dbt.ref("this_build"),
        tables={{
{_refs({report: report for report in reports}, 12)}        }},
        connection=session,
    )
""",
    )


def _monitored(use_cases: Sequence[Declared]) -> str:
    entries = "".join(
        f"        '{use_case.name}': {{\n"
        + "".join(f"            '{name}': '{model}',\n" for name, model in use_case.tables.items())
        + "        },\n"
        for use_case in use_cases
    )
    return f"""{{#- {MARK} from models/labels/: change that. -#}}
{{% macro monitored_use_cases() -%}}
    {{#- The use cases, as {{name: {{name of the join: feature table}}}}. It stands here, and is not read from dbt's graph,
        because dbt wants to know a model's parents while it parses.
        Use: `{{% for name, tables in monitored_use_cases().items() %}}`. -#}}
    {{{{ return({{
{entries}    }}) }}}}
{{%- endmacro %}}
"""


def _and(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


class _Indented(yaml.SafeDumper):
    """Lists are indented below their key, as in the rest of the project, and nothing is an alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.dump(
        dict(content), Dumper=_Indented, sort_keys=False, width=118, allow_unicode=True
    )
