"""The model card: what a person must know before trusting a version (Mitchell et al. 2019), as
Markdown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.core.use_case import UseCase
from ml.core.words import with_unit
from ml.tasks.markdown import bullets, number, table
from ml.tasks.protocol import Known
from ml.tasks.selection import FALSE_DISCOVERY_RATE, Selection

PROXY_WARNING = 0.7  # a ROC AUC from which features are said to give a protected attribute away


@dataclass(frozen=True)
class Facts:
    """Everything a card says. No value of any single entity is among it."""

    use_case: UseCase
    question: str
    importance: str  # what it is
    as_of: datetime
    lineage: Mapping[str, str]
    rows: int
    entities: int
    counts: str
    first_cutoff: datetime
    last_cutoff: datetime
    sampled: bool
    split: str  # the outer split, in words
    folds: tuple[str, str]  # inner folds: of the validated procedure, of the registered model
    calibration: tuple[str, str]
    parameters: tuple[Mapping[str, Any], Mapping[str, Any]]
    metrics: Mapping[str, float]
    champion_metrics: Mapping[str, float] | None
    champion_version: str | None
    baselines: Sequence[Known]
    sections: Sequence[str]  # of the task
    selection: Selection
    refused: Mapping[str, str]
    importances: Mapping[str, float]
    proxies: Mapping[str, float | None]
    milliseconds: float
    verdict: str


def write(facts: Facts) -> str:
    """The card."""
    case = facts.use_case
    return "\n\n".join(
        [
            f"# Model card: {case.name}, as of {facts.as_of:%Y-%m-%d %H:%M} UTC",
            f"**Answers**: {facts.question}",
            f"**Decision**: {facts.verdict}.",
            "## Data\n\n"
            + bullets(
                [
                    f"{facts.rows:,} matured rows of {facts.entities:,} entities"
                    f"{', ' + facts.counts if facts.counts else ''}; "
                    f"cutoffs {facts.first_cutoff:%Y-%m-%d} to {facts.last_cutoff:%Y-%m-%d}",
                    f"sampled by entity to at most {case.max_rows:,} rows"
                    if facts.sampled
                    else "all matured rows",
                    "features as they were believed at each cutoff (point-in-time join with "
                    "`known_at`)",
                ]
            ),
            "## Validation\n\nThe measures are those of the *procedure* (selection, grid, "
            "calibration) on rows it had not seen. The registered model is the same procedure, run "
            "again on all matured rows.\n\n"
            + bullets(
                [
                    facts.split,
                    f"inner folds of the validated procedure: {facts.folds[0]}",
                    f"inner folds of the registered model: {facts.folds[1]}",
                    f"calibration: {facts.calibration[0]} when validated, {facts.calibration[1]} "
                    "when registered",
                    f"parameters: {_words(facts.parameters[0])} when validated, "
                    f"{_words(facts.parameters[1])} when registered",
                    f"one row takes {facts.milliseconds:.1f} ms",
                ]
            ),
            _measures(facts),
            _baselines(facts),
            *facts.sections,
            "## Features\n\n"
            f"G-test at a false discovery rate of {FALSE_DISCOVERY_RATE:.0%} where there is a label; "
            f"importance is the {facts.importance}, where the validated procedure chose it too.\n\n"
            + _features(facts),
            _notes(facts.selection.notes),
            "Never offered to the model: "
            + (
                "; ".join(f"{name} ({why})" for name, why in sorted(facts.refused.items()))
                or "nothing was refused"
            )
            + ".",
            "## Protected attributes\n\nHow well the chosen features predict each one, "
            "cross-validated ROC AUC "
            f"(0.5: not at all). From {PROXY_WARNING} on the model may treat groups differently "
            "without "
            "being told who belongs to them: compare its errors by group before use.\n\n"
            + _proxies(facts.proxies),
            "## Lineage\n\n"
            + table(
                ("what", "value"), [(key, value) for key, value in sorted(facts.lineage.items())]
            ),
        ]
    )


def _baselines(facts: Facts) -> str:
    if not facts.baselines:
        return "## Against baselines\n\nNothing simpler could be measured on these rows."
    metric = facts.use_case.promotion["metric"]
    rows = [(known.name, number(known.value), number(known.own)) for known in facts.baselines]
    return (
        "## Against baselines\n\nThe same measure on the same rows. A version that does not beat "
        "them never becomes champion.\n\n" + table(("baseline", metric, "this version"), rows)
    )


def _measures(facts: Facts) -> str:
    other = facts.champion_metrics
    rows = [
        (name, number(value), number(other.get(name)) if other else "-")
        for name, value in facts.metrics.items()
    ]
    against = f"champion {facts.champion_version}" if other else "no champion to compare with"
    return "## Measures on the validation rows\n\n" + table(("measure", "this", against), rows)


def _features(facts: Facts) -> str:
    rows = []
    for name in facts.selection.features:
        test = facts.selection.tests.get(name)
        rows.append(
            (
                with_unit(*facts.use_case.words(name), form="{} ({})"),
                name,
                "mandatory" if name in facts.use_case.mandatory else "test",
                number(test.information) if test else "-",
                f"{test.p:.2g}" if test else "-",
                number(facts.importances.get(name)),
            )
        )
    head = ("feature", "column", "in by", "information (nats)", "p, corrected", "importance")
    return table(head, rows)


def _proxies(proxies: Mapping[str, float | None]) -> str:
    if not proxies:
        return "None of them is in the joined tables, so this could not be measured."
    return table(
        ("attribute", "ROC AUC", ""),
        [
            (
                name,
                "not measurable: too few entities with a second value"
                if value is None
                else number(value),
                "**given away**" if value is not None and value >= PROXY_WARNING else "",
            )
            for name, value in proxies.items()
        ],
    )


def _notes(notes: Sequence[str]) -> str:
    return "Notes: " + "; ".join(notes) + "." if notes else "All mandatory features vary."


def _words(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(parameters.items())) or "defaults"
