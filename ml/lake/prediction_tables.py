"""What makes a table of the lake a prediction table: whose rows they are, of what, and which counts."""

import json

from ml.core.errors import InsighteraError
from ml.core.use_case import Build
from ml.lake import iceberg as lake

ENTITY_KEYS = "insightera.entity-keys"  # table properties that scoring sets
TOGETHER = "insightera.answered-together"  # of those keys: whose answers are made at once
OUTCOME = "insightera.outcome"
USE_CASE = "insightera.use-case"
ROLES = "insightera.roles"  # of the task's own columns: `ml.tasks.protocol.Output`
UNITS = "insightera.units"  # of those that have one
SHARE = "0 to 1"  # the unit of a probability
# Beside keys, attributes and the task's own columns, every prediction has these.
ENVELOPE = (
    *("contributing_factors", "feature_timestamp", "feature_hash"),
    *("model_name", "model_version", "inference_type", "run_id"),
    *("prediction_timestamp", "prediction_date"),
)
LAST_MOVE = "insightera.last-move-by-hand"

# Two versions that scored one entity at one instant (a retraining within a build): the later
# version counts. MLflow's versions are numbers; anything else sorts as text.
LATEST = "(prediction_timestamp, coalesce(try_cast(model_version as bigint), 0), model_version)"


def audit_branch(build: Build) -> str:
    """The branch that holds a run's rows until they are published."""
    return f"audit_{build.run_id.replace('-', '')}"


def entity_keys(table: str) -> tuple[str, ...]:
    """The columns that name an entity of this prediction table."""
    held = lake.properties(table)
    if ENTITY_KEYS not in held:
        raise InsighteraError(
            f"{lake.NAMESPACE}.{table} holds no predictions. Tables that do: "
            f"{', '.join(tables()) or 'none'}."
        )
    return tuple(json.loads(held[ENTITY_KEYS]))


def together(table: str) -> tuple[str, ...]:
    """The keys whose answers are made at once."""
    held = lake.properties(table).get(TOGETHER)
    return tuple(json.loads(held)) if held else entity_keys(table)


def outcome(table: str) -> str:
    """What the predictions of this table are of: it names `<outcome>_probability`."""
    entity_keys(table)
    return lake.properties(table)[OUTCOME]


def roles(table: str) -> dict[str, str]:
    """The columns that the task gave the table, and the role of each (`ml.tasks.protocol.Output`).

    A table that an older version of the project began has a classifier's.
    """
    of = outcome(table)
    held = lake.properties(table)
    if ROLES in held:
        return dict(json.loads(held[ROLES]))
    return {
        "risk_score": "score",
        f"{of}_probability": "value",
        "risk_category": "category",
        f"predicted_{of}": "flag",
    }


def units(table: str) -> dict[str, str]:
    """The units of the task's own columns. A table that an older version of the project began has
    those of its score and its probability.
    """
    held = lake.properties(table)
    if UNITS in held:
        return dict(json.loads(held[UNITS]))
    known = {f"{outcome(table)}_probability": SHARE, "risk_score": "0 to 100"}
    return {name: unit for name, unit in known.items() if name in roles(table)}


def column(table: str, role: str) -> str | None:
    """The first column of that role, None where the task has none."""
    return next((name for name, what in roles(table).items() if what == role), None)


def entity(table: str) -> tuple[str, ...]:
    """The entity's own keys: without what else an answer is about, such as its target period."""
    about = {column(table, "target"), column(table, "horizon")}
    return tuple(key for key in entity_keys(table) if key not in about)


def subject(table: str) -> tuple[str, ...]:
    """What two predictions share that answer one question: the entity and its target. The horizon
    shrinks as the target comes nearer.
    """
    horizon = column(table, "horizon")
    return tuple(key for key in entity_keys(table) if key != horizon)


def measure(table: str) -> str:
    """The column that two predictions are compared by: the score where there is one, but of a
    probability the probability itself.
    """
    value, score = column(table, "value"), column(table, "score")
    if value is not None and units(table).get(value) == SHARE:
        return value
    chosen = score or value
    if chosen is None:
        raise InsighteraError(
            f"{lake.NAMESPACE}.{table} holds neither a value nor a score: its property {ROLES} is "
            "not as scoring writes it. Run `make build` again with this version of the project."
        )
    return chosen


def own_columns(table: str) -> frozenset[str]:
    """The columns that scoring adds to the entity's keys and attributes."""
    return frozenset({*roles(table), *ENVELOPE})


def tables() -> list[str]:
    """The prediction tables in the lake."""
    return [name for name in lake.tables() if ENTITY_KEYS in lake.properties(name)]


def named(name: str = "") -> str:
    """The prediction table of that name or of the use case of that name; without a name the only
    one.

    Raises InsighteraError, which names those there are, where it is none of them or there are
    several.
    """
    cases = {table: lake.properties(table).get(USE_CASE, "") for table in tables()}
    if not cases:
        raise InsighteraError(
            "Nothing is predicted here yet: `make build` makes the first predictions."
        )
    if name in cases:
        return name
    of_case = [table for table, case in cases.items() if name in ("", case)]
    if len(of_case) == 1:
        return of_case[0]
    there = ", ".join(
        f"{table} ({case})" if case not in ("", table) else table for table, case in cases.items()
    )
    if not name:
        raise InsighteraError(
            "There are several prediction tables. Name one, or its use case, with --table: "
            f"{there}."
        )
    raise InsighteraError(f"No prediction table or use case {name!r}. There are: {there}.")
