"""What a build and a use case are, as their YAML and the model `this_build` say it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isfinite
from typing import Any

from ml.core.errors import InsighteraError
from ml.core.frames import to_arrow
from ml.core.words import Labels, label_of

POLICIES = ("auto", "always", "never")
NUMBERS = {
    "promotion": ("margin", "max_milliseconds"),
    "retrain": ("max_age_days",),
}
# common fields that may be left out, and what stands for them
MAY_LACK: dict[str, Any] = {
    "split": "",
    "known_ahead": (),
    "join_key_map": {},
    "publish_tolerance": 0,
}
TEXTS = ("task", "outcome", "estimator", "output_table", "attributes_from")
LISTS = ("entity_keys", "features", "mandatory", "excluded", "attributes", "known_ahead")
NOT_EMPTY = ("entity_keys", "features")
MAPPINGS = ("grid", "promotion", "retrain", "join_key_map")
AT_LEAST = {"horizon_days": 1, "max_features": 1, "cv_folds": 2, "max_rows": 1}  # whole numbers


@dataclass(frozen=True)
class UseCase:
    """The `meta` of `label_<name>`, checked as far as every task shares it; `docs/use-cases.md` has a
    line for each field.

    What one task alone asks for is in `own`; `ml.tasks.of` checks it. `features` names tables:
    a model may use every feature column of them. Raises InsighteraError where a
    field is missing, or contradicts policy.
    """

    name: str
    task: str  # one of `ml.tasks.TASKS`
    outcome: str  # what is asked: names the task's columns, such as `<outcome>_probability`
    entity_keys: tuple[str, ...]
    horizon_days: int  # how far a label looks ahead; of an anomaly, how long its period is
    features: tuple[str, ...]  # feature models, joined by point in time
    mandatory: tuple[str, ...]
    excluded: tuple[str, ...]
    protected: tuple[str, ...]  # the project's policy: never a feature
    max_features: int
    estimator: str  # dotted path of a scikit-learn class
    grid: Mapping[str, list[Any]]
    cv_folds: int
    max_rows: int  # bound on the training set; sampled by entity beyond it
    promotion: Mapping[str, Any]  # metric, minimum, margin, max_milliseconds
    retrain: Mapping[str, Any]  # policy: auto | always | never, max_age_days
    output_table: str  # Iceberg table under the namespace `ml`
    attributes_from: str  # model with one row per entity
    attributes: tuple[str, ...]  # columns of it, carried into the output
    split: str  # one of `ml.tasks.splits.SPLITS`; empty: the task's own
    known_ahead: tuple[str, ...]  # columns of the spine that may be features
    publish_tolerance: float  # an answer that moves by no more stands as it was published
    # side -> {key of a feature table: column of the spine}: tables that are of a side, not of the
    # entity, are joined once for each side, and `<side>__` stands before their columns
    join_key_map: Mapping[str, Mapping[str, str]]
    own: Mapping[str, Any]  # fields of the task
    column_labels: Labels = field(default_factory=dict, repr=False)  # of its tables and its rows

    @classmethod
    def _common(cls) -> set[str]:
        """The fields that every task shares."""
        return set(cls.__dataclass_fields__) - {"name", "protected", "own", "column_labels"}

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"label_{self.name}: meta.use_case"

    @property
    def join_columns(self) -> tuple[str, ...]:
        """Columns of the spine by which sides are joined and which are no entity key."""
        named = (column for keys in self.join_key_map.values() for column in keys.values())
        return tuple(column for column in dict.fromkeys(named) if column not in self.entity_keys)

    @property
    def nodes(self) -> tuple[tuple[str, ...], ...]:
        """Of each side that is part of the entity, such as either person of a pair, its columns of
        the spine.
        """
        sides = (tuple(keys.values()) for keys in self.join_key_map.values())
        return tuple(columns for columns in sides if set(columns) <= set(self.entity_keys))

    def words(self, column: str) -> tuple[str, str]:
        """Label and unit of a feature, whatever the join put before its name."""
        return label_of(column, self.column_labels)

    @classmethod
    def of(
        cls,
        name: str,
        meta: Mapping[str, Any],
        protected: tuple[str, ...],
        column_labels: Labels | None = None,
    ) -> "UseCase":
        """Check `meta` (a mapping as YAML gives it) and the policy's protected attributes; of
        `column_labels` those of its tables and its rows are kept.
        """
        common = cls._common()
        missing = sorted(common - set(MAY_LACK) - set(meta))
        if missing:
            raise InsighteraError(
                f"label_{name}: meta.use_case misses {missing}. The fields are described in "
                "docs/use-cases.md."
            )
        _check_shapes(f"label_{name}: meta.use_case", MAY_LACK | dict(meta))
        _check_tolerance(f"label_{name}: meta.use_case", meta)
        refused = sorted(set(meta["mandatory"]) & set(protected))
        if refused:
            raise InsighteraError(
                f"label_{name}: {refused} are protected attributes (var `protected_attributes` in "
                "dbt_project.yml) and may not be features. Remove them from `mandatory`."
            )
        _check_values(f"label_{name}: meta.use_case", meta)
        found, said = cls.unchecked(name, meta, protected), column_labels or {}
        models = (f"label_{name}", *found.features)
        return replace(
            found, column_labels={model: said[model] for model in models if model in said}
        )

    @classmethod
    def unchecked(cls, name: str, meta: Mapping[str, Any], protected: tuple[str, ...]) -> "UseCase":
        """The same, whatever `meta` says; None for what it misses."""
        common = cls._common()
        shared = dict.fromkeys(common) | MAY_LACK
        shared |= {key: value for key, value in meta.items() if key in common}
        lists: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in shared.items()
        }
        own = {key: value for key, value in meta.items() if key not in common}
        return cls(name=name, protected=protected, own=own, **lists)


def _check_shapes(where: str, meta: Mapping[str, Any]) -> None:
    """Texts, lists and mappings are that, before anything reads them."""
    for key in TEXTS:
        if not isinstance(meta[key], str) or not meta[key]:
            raise InsighteraError(f"{where}.{key} is {meta[key]!r}; write a text.")
    for key in LISTS:
        held = meta[key]
        texts = isinstance(held, list | tuple) and all(isinstance(name, str) for name in held)
        if not texts or (key in NOT_EMPTY and not held):
            raise InsighteraError(f"{where}.{key} is {held!r}; write a list of names.")
    for key in MAPPINGS:
        if not isinstance(meta[key], Mapping):
            raise InsighteraError(f"{where}.{key} is {meta[key]!r}; write a mapping.")
    for key, values in meta["grid"].items():
        if not isinstance(values, list) or not values:
            raise InsighteraError(f"{where}.grid.{key} is {values!r}; write a list of values.")
    for side, keys in meta["join_key_map"].items():
        given = isinstance(keys, Mapping) and keys and set(map(type, keys.values())) == {str}
        if not given or not re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", str(side)):
            raise InsighteraError(
                f"{where}.join_key_map.{side} is {keys!r}; name the side in lower case and write "
                "{key of the feature tables: column of the label}, such as a: {nidn: nidn_a}."
            )


def _check_values(where: str, meta: Mapping[str, Any]) -> None:
    """Values that every step relies on; `ml.training.procedure` checks what only scikit-learn can tell."""
    if meta["retrain"].get("policy") not in POLICIES:
        raise InsighteraError(
            f"{where}.retrain.policy is {meta['retrain'].get('policy')!r}; use one of "
            f"{', '.join(POLICIES)}."
        )
    if "metric" not in meta["promotion"]:
        raise InsighteraError(f"{where}.promotion needs a metric.")
    least = meta["promotion"].get("minimum", 0)
    if not is_number(least):
        raise InsighteraError(f"{where}.promotion.minimum is {least!r}; it must be a number.")
    for group, keys in NUMBERS.items():
        absent = [key for key in keys if not is_number(meta[group].get(key))]
        if absent:
            raise InsighteraError(f"{where}.{group} needs numbers for {', '.join(absent)}.")
        negative = [key for key in keys if meta[group][key] < 0]
        if negative:
            raise InsighteraError(f"{where}.{group}: {', '.join(negative)} must not be negative.")
    for key, least in AT_LEAST.items():
        if type(meta[key]) is not int or meta[key] < least:
            raise InsighteraError(
                f"{where}.{key} is {meta[key]!r}; it must be a whole number from {least} up."
            )


def _check_tolerance(where: str, meta: Mapping[str, Any]) -> None:
    told = meta.get("publish_tolerance", 0)
    if not is_number(told) or told < 0:
        raise InsighteraError(
            f"{where}.publish_tolerance is {told!r}; it must be a number from 0 up, in the unit of the "
            "answer."
        )


def is_number(value: Any) -> bool:
    """A finite number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


@dataclass(frozen=True)
class Build:
    """One dbt invocation: the row of the model `this_build`."""

    as_of: datetime  # naive UTC; the build sees rows with loaded_at < as_of
    run_id: str  # dbt's invocation id
    use_cases: Mapping[str, Mapping[str, Any]] = field(repr=False)
    protected: tuple[str, ...]
    column_labels: Labels = field(default_factory=dict, repr=False)  # no version depends on them
    # use case -> its models that failed: it is caught up with, and nothing of it is trained, scored
    # or published; empty in a build from the start
    refused: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, relation: Any) -> "Build":
        """From the relation `this_build`. Raises InsighteraError where it has not exactly one row."""
        rows = to_arrow(relation, "the model this_build").to_pylist()
        if len(rows) != 1:
            raise InsighteraError(f"The model this_build must have one row; it has {len(rows)}.")
        return cls.of(rows[0])

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Build":
        """From `as_of` (datetime), `run_id`, `use_cases` (JSON object), `protected` (JSON list), and
        `column_labels` and `refused` (JSON objects), which may be left out.
        """
        return cls(
            as_of=row["as_of"],
            run_id=row["run_id"],
            use_cases=json.loads(row["use_cases"]),
            protected=tuple(json.loads(row["protected"])),
            column_labels=json.loads(row.get("column_labels") or "{}"),
            refused=json.loads(row.get("refused") or "{}"),
        )

    def use_case(self, name: str) -> UseCase:
        """The checked use case `name`."""
        return UseCase.of(name, self.declared(name), self.protected, self.column_labels)

    def output_table(self, name: str) -> str:
        """The prediction table of `name`, also where other fields of it contradict each other: what
        is of all use cases must not stop for one.
        """
        given = self.declared(name).get("output_table")
        return given if isinstance(given, str) else self.use_case(name).output_table

    def metric(self, name: str) -> str | None:
        """The measure that decides of `name`, as unchecked; None where it names none."""
        promotion = self.declared(name).get("promotion")
        return promotion.get("metric") if isinstance(promotion, Mapping) else None

    def declared(self, name: str) -> Mapping[str, Any]:
        """What the YAML of `name` says, unchecked. Raises InsighteraError for an unknown one."""
        if name not in self.use_cases:
            raise InsighteraError(
                f"No use case {name!r}: models/labels/label_{name}.yml has no `meta.use_case`. "
                f"Known: {', '.join(sorted(self.use_cases)) or 'none'}."
            )
        return self.use_cases[name]
