"""What differs between kinds of question: a module each, behind one protocol."""

from ml.core.errors import InsighteraError
from ml.core.use_case import UseCase
from ml.tasks.protocol import Task

TASKS = {
    "classification": "ml.tasks.classification:Classification",
    "forecast": "ml.tasks.forecast:Forecast",
    "anomaly": "ml.tasks.anomaly:Anomaly",
}

__all__ = ["TASKS", "Task", "of", "unchecked"]


def of(use_case: UseCase) -> Task:
    """The use case's task. Raises InsighteraError for one that there is not, and where a field of it is
    missing, unknown or makes no sense.
    """
    task = unchecked(use_case)
    task.check_fields()
    return task


def unchecked(use_case: UseCase) -> Task:
    """The same, its fields as they are: for its columns alone."""
    from importlib import import_module

    if use_case.task not in TASKS:
        raise InsighteraError(
            f"{use_case.where}.task is {use_case.task!r}; use one of {', '.join(TASKS)}."
        )
    module, name = TASKS[use_case.task].split(":")
    task: Task = getattr(import_module(module), name)(use_case)
    return task
