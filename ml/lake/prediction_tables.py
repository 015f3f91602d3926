"""What makes a table of the lake a prediction table: whose rows they are, of what, and which counts."""

import json

from ml.core.errors import InsighteraError
from ml.core.use_case import Build
from ml.lake import iceberg as lake

ENTITY_KEYS = "insightera.entity-keys"  # table properties that scoring sets
OUTCOME = "insightera.outcome"
USE_CASE = "insightera.use-case"
ROLES = "insightera.roles"  # of the task's own columns: `ml.tasks.protocol.Output`
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


def column(table: str, role: str) -> str | None:
    """The first column of that role, None where the task has none."""
    return next((name for name, what in roles(table).items() if what == role), None)


def own_columns(table: str) -> frozenset[str]:
    """The columns that scoring adds to the entity's keys and attributes."""
    return frozenset({*roles(table), *ENVELOPE})


def tables() -> list[str]:
    """The prediction tables in the lake."""
    return [name for name in lake.tables() if ENTITY_KEYS in lake.properties(name)]


def only() -> str:
    """The prediction table, where there is one. Raises InsighteraError, which lists them, where none
    or several are.
    """
    held = tables()
    if len(held) == 1:
        return held[0]
    raise InsighteraError(
        f"There are several prediction tables; name one with --table: {', '.join(sorted(held))}."
        if held
        else "Nothing is predicted here yet: `make build` makes the first predictions."
    )
