"""A first version of a use case's two files: a label that runs, and the YAML from which the rest follows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml.cli.use_case_columns import TASKS
from ml.cli.use_case_files import column_texts, declared, model_file, models_of
from ml.core.errors import InsighteraError

_NAME = re.compile(r"[a-z][a-z0-9_]*")
HORIZONS = 3  # months ahead that a first forecast looks


@dataclass(frozen=True)
class Wanted:
    """What a person says of a new use case. The event: rows of a model, at a time, under a condition."""

    name: str
    task: str
    entity: Sequence[str]
    outcome: str
    features: Sequence[str]
    horizon_days: int
    event_model: str = ""
    event_time: str = ""
    event_where: str = ""
    mandatory: Sequence[str] = ()


@dataclass(frozen=True)
class Population:
    """Whom a use case asks about: a dimension of the gold layer, and what people read of each."""

    model: str
    columns: Mapping[str, str]
    attributes_from: str
    attributes: Sequence[str]


def write(project: Path, wanted: Wanted) -> list[Path]:
    """Write `models/labels/label_<name>.sql` and its YAML; the two paths.

    Raises InsighteraError, before anything is written, for a name that is none or is taken, and where a
    model or a column is not there.
    """
    _check(project, wanted)
    population = _population(project, wanted.entity)
    base = project / "models" / "labels" / f"label_{wanted.name}"
    files = {
        base.with_suffix(".sql"): {
            "classification": _classification,
            "forecast": _forecast,
            "anomaly": _anomaly,
        }[wanted.task](wanted, population),
        base.with_suffix(".yml"): _yaml(wanted, population),
    }
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    try:
        declared(project)
    except InsighteraError:
        for path in files:
            path.unlink()
        raise
    return list(files)


def _check(project: Path, wanted: Wanted) -> None:
    for what, name in (("name", wanted.name), ("outcome", wanted.outcome)):
        if not _NAME.fullmatch(name):
            raise InsighteraError(
                f"The {what} {name!r} is no identifier: write lower-case letters, digits and "
                "underscores, a letter first."
            )
    if wanted.task not in TASKS:
        raise InsighteraError(f"There is no task {wanted.task!r}; use one of {', '.join(TASKS)}.")
    label = project / "models" / "labels" / f"label_{wanted.name}.sql"
    if label.exists() or label.with_suffix(".yml").exists():
        raise InsighteraError(f"There is a use case {wanted.name} already: {label}.")
    if wanted.horizon_days < 1:
        raise InsighteraError("The horizon must be at least 1 day.")
    if not wanted.entity or not wanted.features:
        raise InsighteraError("Name at least one key of the entity and one feature model.")
    for model in wanted.features:
        if model_file(project, model) is None:
            known = sorted(path.stem for path in (project / "models/features").rglob("*.sql"))
            raise InsighteraError(
                f"There is no feature model {model!r}. There are: {', '.join(known)}."
            )
    held = {column for model in wanted.features for column in _columns_of(project, model)}
    lacking = [column for column in wanted.mandatory if column not in held]
    if lacking:
        raise InsighteraError(f"No feature model named here has a column {', '.join(lacking)}.")
    if wanted.task != "anomaly":
        _check_event(project, wanted)


def _columns_of(project: Path, model: str) -> Mapping[str, str]:
    path = model_file(project, model)
    return column_texts(models_of(path).get(model, {})) if path else {}


def _check_event(project: Path, wanted: Wanted) -> None:
    path = model_file(project, wanted.event_model) if wanted.event_model else None
    if path is None:
        raise InsighteraError(
            f"There is no model {wanted.event_model!r} to take events from; name one of the gold layer "
            "as --event-model."
        )
    columns = column_texts(models_of(path).get(wanted.event_model, {}))
    lacking = [name for name in (*wanted.entity, wanted.event_time) if name not in columns]
    if lacking:
        raise InsighteraError(
            f"{wanted.event_model} has no column {', '.join(map(repr, lacking))}. It has: "
            f"{', '.join(columns)}."
        )


def _population(project: Path, entity: Sequence[str]) -> Population:
    """The dimension that begins with the entity's keys; of several, one that keeps history."""
    found: list[tuple[bool, str, dict[str, str]]] = []
    for path in sorted((project / "models" / "gold").rglob("dim_*.yml")):
        columns = column_texts(models_of(path).get(path.stem, {}))
        if list(columns)[: len(entity)] == list(entity):
            found.append(("valid_to" in columns, path.stem, columns))
    if not found:
        raise InsighteraError(
            f"No dimension of the gold layer begins with {', '.join(entity)}: nobody to ask about."
        )
    _, model, columns = max(found, key=lambda entry: entry[0])
    present = next((entry for entry in found if entry[1] == f"{model}_current"), None)
    source, held = (present[1], present[2]) if present else (model, columns)
    words = [name for name in held if "nama" in name and name not in entity][:2]
    return Population(model, columns, source, words)


def _names(columns: Sequence[str], of: str, indent: int = 8) -> str:
    return "".join(f"{' ' * indent}{of}.{column},\n" for column in columns)


def _imports(wanted: Wanted, population: Population) -> str:
    events = (
        f"events as (\n    select * from {{{{ ref('{wanted.event_model}') }}}}\n),\n\n"
        if wanted.task != "anomaly"
        else ""
    )
    return (
        f"with\npopulation as (\n    select * from {{{{ ref('{population.model}') }}}}\n),\n\n{events}"
        "waktu as (\n    select * from {{ ref('dim_waktu') }}\n),\n\n"
    )


def _asked_at(population: Population, cutoff: str) -> list[str]:
    """Conditions on who is asked about at a cutoff: what was known before it."""
    conditions = []
    if "valid_to" in population.columns:
        conditions = [f"{cutoff} > population.valid_from", f"{cutoff} <= population.valid_to"]
    if "is_active" in population.columns:
        conditions.append("population.is_active")
    return conditions or ["1 = 1"]


def _where(conditions: Sequence[str], indent: int) -> str:
    if len(conditions) == 1:
        return f" {conditions[0]}"
    return f"\n{' ' * (indent + 4)}" + f"\n{' ' * (indent + 4)}and ".join(conditions)


def _happened(wanted: Wanted) -> str:
    """The events' keys and instants."""
    where = f"\n    where {wanted.event_where}" if wanted.event_where else ""
    return (
        f"happened as (\n    select\n{_names(wanted.entity, 'events')}"
        f"        cast(events.{wanted.event_time} as timestamp) as happened_at\n    from events{where}\n),\n\n"
    )


def _same_entity(wanted: Wanted, left: str, right: str) -> list[str]:
    return [f"{left}.{key} = {right}.{key}" for key in wanted.entity]


def _classification(wanted: Wanted, population: Population) -> str:
    entity = wanted.entity
    days = wanted.horizon_days
    count = ", ".join(str(number + 1) for number in range(len(entity) + 1))
    return f"""{_imports(wanted, population)}{_happened(wanted)}-- a cutoff whose horizon is not over has no label yet, even where the event has come already
matured_cutoffs as (
    select cast(waktu.tanggal as timestamp) as cutoff
    from waktu
    where
        waktu.hari_ke = 1
        and {{{{ day_number('waktu.tanggal') }}}} + {days} <= {{{{ day_number(as_of()) }}}}
),

labelled as (
    select
{_names(entity, "population")}        matured_cutoffs.cutoff,
        max(case when happened.happened_at is null then 0 else 1 end) as label
    from matured_cutoffs
    inner join population
        on{_where(_asked_at(population, "matured_cutoffs.cutoff"), 8)}
    left join happened
        on{_where([*_same_entity(wanted, "population", "happened"), "matured_cutoffs.cutoff < happened.happened_at", f"happened.happened_at <= matured_cutoffs.cutoff + interval '{days} days'"], 8)}
    group by {count}
),

current_population as (
    select distinct
{_names(entity, "population")}        {{{{ as_of() }}}} as cutoff,
        cast(null as integer) as label
    from population
    where{_where(_asked_at(population, "{{ as_of() }}"), 4)}
),

final as (
    select
{_names(entity, "labelled")}        labelled.cutoff,
        labelled.label
    from labelled
    union all
    select
{_names(entity, "current_population")}        current_population.cutoff,
        current_population.label
    from current_population
)

select * from final
"""


def _cutoffs(when: str) -> str:
    """Instants of the past, and `as_of` itself: whose rows are scored."""
    return f"""cutoffs as (
    select cast(waktu.tanggal as timestamp) as cutoff
    from waktu
    where{_where([when, "cast(waktu.tanggal as timestamp) < {{ as_of() }}"], 4)}
    union all
    select {{{{ as_of() }}}} as cutoff
),

"""


def _forecast(wanted: Wanted, population: Population) -> str:
    entity = wanted.entity
    keys = [*entity, "cutoff", "horizon", "period_start", "matures_at"]
    count = ", ".join(str(number + 1) for number in range(len(keys)))
    return f"""{_imports(wanted, population)}{_happened(wanted)}{_cutoffs("extract(day from waktu.tanggal) = 1")}asked as (
    {{%- for horizon in range(1, {HORIZONS + 1}) %}}
    select distinct
{_names(entity, "population")}        cutoffs.cutoff,
        {{{{ horizon }}}} as horizon,
        cast(date_trunc('month', cutoffs.cutoff) as timestamp) + interval '{{{{ horizon }}}} month' as period_start,
        cast(date_trunc('month', cutoffs.cutoff) as timestamp) + interval '{{{{ horizon + 1 }}}} month' as matures_at
    from cutoffs
    inner join population
        on{_where(_asked_at(population, "cutoffs.cutoff"), 8)}
    {{{{ 'union all' if not loop.last }}}}
    {{%- endfor %}}
),

counted as (
    select
{_names(keys, "asked")}        count(case when happened.happened_at >= asked.period_start then 1 end) as event_count,
        -- what is known at the cutoff, which a forecast must beat: events count by when they happened
        count(
            case
                when
                    happened.happened_at < asked.cutoff
                    and happened.happened_at < date_trunc('month', asked.cutoff)
                    and happened.happened_at >= date_trunc('month', asked.cutoff) - interval '1 month'
                    then 1
            end
        ) as last_value,
        count(
            case
                when
                    happened.happened_at < asked.cutoff
                    and happened.happened_at < asked.period_start - interval '11 month'
                    then 1
            end
        ) as same_month_last_year
    from asked
    left join happened
        on{_where([*_same_entity(wanted, "asked", "happened"), "asked.period_start - interval '12 month' <= happened.happened_at", "asked.matures_at > happened.happened_at"], 8)}
    group by {count}
),

final as (
    select
{_names(entity, "counted")}        cast(extract(year from counted.period_start) as string)
        || '-' || lpad(cast(extract(month from counted.period_start) as string), 2, '0') as target_period,
        counted.horizon,
        counted.cutoff,
        counted.matures_at,
        counted.last_value,
        counted.same_month_last_year,
        case when counted.matures_at <= {{{{ as_of() }}}} then cast(counted.event_count as double) end as label
    from counted
)

select * from final
"""


def _anomaly(wanted: Wanted, population: Population) -> str:
    return f"""{_imports(wanted, population)}{_cutoffs("waktu.hari_ke = 1")}final as (
    select distinct
{_names(wanted.entity, "population")}        cutoffs.cutoff
    from cutoffs
    inner join population
        on{_where(_asked_at(population, "cutoffs.cutoff"), 8)}
)

select * from final
"""


_OWN: Mapping[str, Mapping[str, Any]] = {
    "classification": {
        "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
        "grid": {
            "learning_rate": [0.05],
            "max_leaf_nodes": [7, 15],
            "min_samples_leaf": [20, 200],
            "max_features": [0.3],
        },
        "thresholds": {"Low": 0.0, "Medium": 0.3, "High": 0.6},
        "promotion": {"metric": "roc_auc", "minimum": 0.55, "margin": 0.01, "max_milliseconds": 50},
    },
    "forecast": {
        "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
        "grid": {"learning_rate": [0.05], "max_leaf_nodes": [7, 15]},
        "interval": 0.8,
        "baselines": {"last_value": "last_value", "seasonal_naive": "same_month_last_year"},
        "known_ahead": ["horizon", "last_value", "same_month_last_year"],
        "non_negative": True,
        "unit": "events a month",
        "promotion": {"metric": "mae", "margin": 0.01, "max_milliseconds": 50},
    },
    "anomaly": {
        "estimator": "sklearn.ensemble.IsolationForest",
        "grid": {"n_estimators": [100]},
        "flagged_share": 0.02,
        "severities": {"Low": 0, "Medium": 99, "High": 99.8},
        "promotion": {
            "metric": "flagged_share",
            "minimum": 0.06,
            "margin": 0.0,
            "max_milliseconds": 200,
        },
    },
}


_SPINE = {
    "classification": "label_spine",
    "forecast": "forecast_spine",
    "anomaly": "anomaly_spine",
}


def _yaml(wanted: Wanted, population: Population) -> str:
    key = [*wanted.entity, *(["target_period"] if wanted.task == "forecast" else []), "cutoff"]
    own = dict(_OWN[wanted.task])
    if wanted.task == "anomaly":
        own["domain"] = wanted.outcome
    use_case = {
        "task": wanted.task,
        "outcome": wanted.outcome,
        "entity_keys": list(wanted.entity),
        "horizon_days": wanted.horizon_days,
        "features": list(wanted.features),
        "mandatory": list(wanted.mandatory),
        "excluded": [],
        "max_features": 20,
        "cv_folds": 3,
        "max_rows": 500000,
        **own,
        "retrain": {"policy": "{{ var('retrain', 'auto') }}", "max_age_days": 90},
        "output_table": wanted.name,
        "attributes_from": population.attributes_from,
        "attributes": list(population.attributes),
    }
    tests: list[Mapping[str, Any]] = [{"primary_key": {"arguments": {"columns": key}}}]
    spine: dict[str, Any] = {"entity_keys": list(wanted.entity)}
    if wanted.task == "classification":
        spine["horizon_days"] = wanted.horizon_days
    tests.append({_SPINE[wanted.task]: {"arguments": spine}})
    model = {
        "name": f"label_{wanted.name}",
        "description": _grain(wanted),
        "config": {"meta": {"use_case": use_case}},
        "columns": [
            {"name": name, "description": said} for name, said in _columns(wanted, population)
        ],
        "data_tests": tests,
    }
    return yaml.safe_dump(
        {"models": [model]}, sort_keys=False, width=118, default_flow_style=None, allow_unicode=True
    )


def _grain(wanted: Wanted) -> str:
    keys = " and ".join(wanted.entity)
    return {
        "classification": f"One row per {keys} and weekly cutoff. Rows whose horizon lies wholly before `as_of` "
        "carry the label; the row at `as_of` itself has none: it is what scoring reads.",
        "forecast": f"One row per {keys}, month that is asked about, and cutoff, the first of each month. Months that "
        "are over at `as_of` carry the label; the rows at `as_of` itself are what scoring reads.",
        "anomaly": f"One row per {keys} and weekly cutoff; the row at `as_of` itself is what scoring reads.",
    }[wanted.task]


def _columns(wanted: Wanted, population: Population) -> list[tuple[str, str]]:
    event = f"row of {wanted.event_model}" + (
        f" with {wanted.event_where}" if wanted.event_where else ""
    )
    known = [(key, population.columns[key] or "Key of the entity.") for key in wanted.entity]
    cutoff = ("cutoff", "Instant at which the question is asked, UTC.")
    if wanted.task == "anomaly":
        return [*known, cutoff]
    if wanted.task == "classification":
        said = f"1 where a {event} followed within {wanted.horizon_days} days, 0 where none, NULL at `as_of`."
        return [*known, cutoff, ("label", said)]
    return [
        *known,
        ("target_period", "Month that is asked about, such as 2024-05."),
        ("horizon", "Months from the cutoff's month to it (months)."),
        cutoff,
        ("matures_at", "End of that month, UTC: from then on the label is known."),
        (
            "last_value",
            f"How often there was a {event} in the last whole month before the cutoff (events).",
        ),
        (
            "same_month_last_year",
            f"How often there was a {event} in the month a year before the one that is asked about (events).",
        ),
        ("label", f"How often there was a {event}; NULL before `matures_at` (events)."),
    ]
