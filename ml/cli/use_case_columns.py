"""What the tables of a use case hold, and the audit of a build's predictions: both follow from its task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Test = str | Mapping[str, Any]  # as dbt's YAML has it
HIGHEST_SHARE = "{{ var('largest_high_share') }}"

TRAINED = {  # columns of `train_<name>`, as `ml.training.DECISION` has them
    "use_case": "Use case.",
    "model_name": "Registered model.",
    "champion_version": "Champion after the decision; NULL where there is none.",
    "trained_version": "Version that this build registered; NULL where it registered none.",
    "decision": "What was decided, and why, in words.",
    "metric": "Measure that the promotion rule compares.",
    "score": "That measure of the version trained now.",
    "champion_score": "That measure of the champion before, on the same rows.",
    "baseline": "The strongest baseline, which a version must beat; NULL where none could be measured.",
    "baseline_score": "That measure of the baseline, on its rows of the validation side.",
    "milliseconds": "Time that one answer takes (milliseconds).",
    "rows": "Rows learned from (rows).",
    "entities": "Entities among them.",
    "features": "Features chosen.",
    "training_snapshot_id": "Iceberg snapshot of the training set.",
    "as_of": "The instant the build saw the world from, UTC.",
    "run_id": "dbt's invocation id.",
}


@dataclass(frozen=True)
class Described:
    """A column of a prediction table: its name, what it says, and the data tests of its audit."""

    name: str
    description: str
    tests: Sequence[Test] = ()


@dataclass(frozen=True)
class Audit:
    """What a task answers, and what its answers must keep: columns, and tests of whole rows.

    `key`: what names an answer. `known`: columns that are never NULL.
    """

    answers: Sequence[Described]
    key: Sequence[str]
    known: Sequence[str]
    tests: Sequence[Test] = field(default_factory=tuple)


def in_range(minimum: float, maximum: float) -> Test:
    """Both bounds included."""
    return {"in_range": {"arguments": {"minimum": minimum, "maximum": maximum}}}


def one_of(values: Sequence[str]) -> Test:
    """No other value."""
    return {"accepted_values": {"arguments": {"values": list(values)}}}


def none_where(name: str, condition: str) -> Test:
    """No row fulfils the condition. `name`: of the test, one per use case."""
    return {"none_where": {"name": name, "arguments": {"condition": condition}}}


def classification(name: str, meta: Mapping[str, Any]) -> Audit:
    """A calibrated probability and its category."""
    outcome, thresholds = meta["outcome"], dict(meta["thresholds"])
    categories = sorted(thresholds, key=lambda category: float(thresholds[category]))
    bounds = [
        f"{category} below {thresholds[following]}" for category, following in pairwise(categories)
    ]
    probability, predicted = f"{outcome}_probability", f"predicted_{outcome}"
    said = f"robability of {outcome} within the horizon"
    first, top = meta["entity_keys"][0], meta.get("top_k")
    ranked = (
        [
            Described(
                "rank",
                f"Place among the answers of one {first}, the likeliest first (1 to {top}).",
                [in_range(1, top)],
            )
        ]
        if top
        else []
    )
    one_place = {
        "primary_key": {
            "name": f"score_{name}_has_one_of_each_rank",
            "arguments": {"columns": [first, "rank"]},
        }
    }
    return Audit(
        answers=(
            *ranked,
            Described("risk_score", f"P{said} (0 to 100).", [in_range(0, 100)]),
            Described(probability, f"Calibrated p{said} (0 to 1).", [in_range(0, 1)]),
            Described(
                "risk_category",
                f"{', '.join(bounds)}, else {categories[-1]}." if bounds else f"{categories[-1]}.",
                [one_of(categories)],
            ),
            Described(predicted, "The probability is at least 0.5."),
        ),
        key=meta["entity_keys"],
        known=("risk_score", probability, "risk_category", predicted),
        tests=(
            *([one_place] if top else []),
            {
                "probability_agrees": {
                    "arguments": {
                        "probability": probability,
                        "score": "risk_score",
                        "category": "risk_category",
                        "thresholds": thresholds,
                    }
                }
            },
            {
                "share_at_most": {
                    "arguments": {
                        "condition": f"risk_category = '{categories[-1]}'",
                        "most": HIGHEST_SHARE,
                    }
                }
            },
        ),
    )


def forecast(name: str, meta: Mapping[str, Any]) -> Audit:
    """A number for each target period, with an interval."""
    outcome, unit = meta["outcome"], meta.get("unit") or "units of the outcome"
    value, lower, upper = f"forecasted_{outcome}", f"{outcome}_lower", f"{outcome}_upper"
    tests = [
        none_where(f"score_{name}_has_bounds_in_order", f"{lower} > {value} or {value} > {upper}"),
        none_where(f"score_{name}_has_a_level", "interval_level <= 0 or interval_level >= 1"),
    ]
    if meta.get("non_negative"):
        tests.append(none_where(f"score_{name}_is_not_negative", f"{lower} < 0"))
    answers = (
        Described("target_period", "Period that is forecast."),
        Described("horizon", "How many periods ahead it lies (periods)."),
        Described(value, f"Forecast ({unit})."),
        Described(lower, f"Lower end of the interval ({unit})."),
        Described(upper, f"Upper end of the interval ({unit})."),
        Described(
            "interval_level", "Share of outcomes that the interval promises to hold (0 to 1)."
        ),
    )
    totals: tuple[Described, ...] = ()
    if meta.get("totals"):
        ends = ", ".join(map(str, meta["totals"]))
        of = f"of the forecasts up to this one, where its horizon is {ends}; NULL elsewhere ({unit})."
        totals = (
            Described(f"total_{outcome}", f"Sum {of}"),
            Described("total_lower", f"Lower end of the interval of the sum {of}"),
            Described("total_upper", f"Upper end of the interval of the sum {of}"),
        )
        out_of_order = f"total_lower > total_{outcome} or total_{outcome} > total_upper"
        tests.append(none_where(f"score_{name}_has_totals_in_order", out_of_order))
    return Audit(
        answers=[*answers, *totals],
        key=[*meta["entity_keys"], "target_period"],
        known=[answer.name for answer in answers],
        tests=tests,
    )


def anomaly(name: str, meta: Mapping[str, Any]) -> Audit:
    """How unusual it is, and whether a person should look."""
    severities = dict(meta["severities"])
    ordered = sorted(severities, key=lambda severity: float(severities[severity]))
    return Audit(
        answers=(
            Described("anomaly_id", "Names the anomaly, the same in every build.", ["unique"]),
            Described("domain", "Part of the university it is of."),
            Described("anomaly_type", "What kind of anomaly it is."),
            Described(
                "anomaly_score",
                "How unusual: share of the training rows that are less so (0 to 100).",
                [in_range(0, 100)],
            ),
            Described("z_score", "Distance from what is usual (standard deviations)."),
            Described("is_anomaly", "It is flagged: a person should look."),
            Described(
                "severity",
                f"{', '.join(ordered)}; NULL where nothing is flagged.",
                [one_of(ordered)],
            ),
            Described("explanation", "What stands out, in words."),
        ),
        key=meta["entity_keys"],
        known=("anomaly_id", "domain", "anomaly_score", "is_anomaly"),
        tests=(
            none_where(
                f"score_{name}_has_a_severity_where_flagged",
                "is_anomaly <> (severity is not null)",
            ),
            {
                "flagged_at_most": {
                    "arguments": {
                        "condition": "is_anomaly",
                        "most": meta["flagged_share"],
                        "spine": f"ref('label_{name}')",
                    }
                }
            },
        ),
    )


TASKS: Mapping[str, Callable[[str, Mapping[str, Any]], Audit]] = {
    task.__name__: task for task in (classification, forecast, anomaly)
}
FACTORS = {
    "anomaly": "JSON: the features that stand out, each with value, usual range and contribution.",
    "forecast": "JSON: the five features that move the forecast most, each with value and SHAP "
    "contribution (units of the outcome).",
    "classification": "JSON: the five features that move the prediction most, each with value and "
    "SHAP contribution (log-odds).",
}


def columns_of(
    name: str, meta: Mapping[str, Any], described: Mapping[str, str], shown: Mapping[str, str]
) -> tuple[list[Described], list[Test], Audit]:
    """Columns of a use case's predictions in their order, the tests of whole rows, and the task's audit.

    `meta`: its `meta.use_case`. `described`: what the label says of its columns. `shown`: the
    attributes, as the predictions call them, and what they are.
    """
    audit = TASKS[meta["task"]](name, meta)
    named = [
        Described(column, described.get(column, "Key of the entity."))
        for column in meta["entity_keys"]
    ]
    carried = [Described(column, text) for column, text in shown.items()]
    envelope = (
        Described("contributing_factors", FACTORS[meta["task"]]),
        Described("feature_timestamp", "Newest `recorded_at` that contributed, UTC."),
        Described("feature_hash", "Digest of the values of the model's features."),
        Described("model_name", "Registered model."),
        Described("model_version", "Its version."),
        Described(
            "inference_type",
            "full where every entity was scored, incremental where only those that changed.",
            [one_of(("full", "incremental"))],
        ),
        Described("run_id", "dbt's invocation id."),
        Described("prediction_timestamp", "The build's `as_of`, UTC."),
        Described("prediction_date", "Its day; the partition."),
    )
    unknown = {"feature_timestamp", "inference_type"}
    known = [*audit.known, *(column.name for column in envelope if column.name not in unknown)]
    tests: list[Test] = [
        {"primary_key": {"arguments": {"columns": list(audit.key)}}},
        {"never_null": {"arguments": {"columns": known}}},
        *audit.tests,
        {
            "known_before": {
                "arguments": {"earlier": "feature_timestamp", "later": "prediction_timestamp"}
            }
        },
    ]
    return [*named, *carried, *audit.answers, *envelope], tests, audit
