"""Will it happen? A calibrated probability of label 1, its band, and what moves it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml.core.errors import InsighteraError
from ml.core.sql import text
from ml.core.use_case import is_number
from ml.engine import Engine, Frame
from ml.features.model_input import Sight
from ml.tasks import splits
from ml.tasks.protocol import Fitted, Judged, Known, Numbers, Output, Rows, Task
from ml.tasks.splits import Hashes, Indices, Split

LIKELY = 0.5  # probabilities are calibrated: above a half, it is more likely than not
DECIMALS = 6  # of probabilities and contributions: what batches of other sizes compute alike


class Classification(Task):
    """A label of 0 or 1 within `horizon_days` after the cutoff."""

    kind = "classification"
    fields = ("thresholds", "top_k")
    may_lack: ClassVar = {"top_k": None}
    label_type = "bigint"
    label_rule = "try_cast(label as double) in (0, 1)"
    label_words = "0, 1 or NULL"
    greater_is_better: ClassVar = {
        "roc_auc": True,
        "pr_auc": True,
        "brier": False,
        "log_loss": False,
    }
    learned_by = ("tasks/classification.py", "tasks/calibrated.py", "tasks/evaluation.py")
    unit = "log-odds"

    def check(self) -> None:
        case, top = self.use_case, self.own["top_k"]
        check_thresholds(f"{case.where}.thresholds", self.own["thresholds"])
        if top is not None and (type(top) is not int or top < 1 or len(case.entity_keys) < 2):
            raise InsighteraError(
                f"{case.where}.top_k is {top!r}: it is the whole number, from 1 up, of answers that "
                f"each {case.entity_keys[0]} gets, and asks for a second entity key to rank."
            )

    def check_grid(self, grid: Sequence[Mapping[str, Any]]) -> None:
        from ml.tasks import estimators

        for parameters in grid:
            estimators.estimator(self.use_case.estimator, **parameters)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Category -> lower bound of the probability."""
        bounds: Mapping[str, float] = self.own["thresholds"]
        return bounds

    @property
    def together(self) -> tuple[str, ...]:
        """A rank is among the others: all answers of its first entity key are made at once."""
        return self.answer_keys[:1] if self.own["top_k"] else self.answer_keys

    def outputs(self) -> tuple[Output, ...]:
        outcome = self.use_case.outcome
        ranked = (Output("rank", pa.int32(), "rank"),) if self.own["top_k"] else ()
        return (
            *ranked,
            Output("risk_score", pa.float64(), "score", "0 to 100"),
            Output(f"{outcome}_probability", pa.float64(), "value", "0 to 1"),
            Output("risk_category", pa.string(), "category"),
            Output(f"predicted_{outcome}", pa.bool_(), "flag"),
        )

    def output_sql(self) -> Mapping[str, str]:
        outcome = self.use_case.outcome
        categories = " ".join(
            f"when answer_probability >= {float(bound)!r} then {text(category)}"
            for category, bound in sorted(self.thresholds.items(), key=lambda item: -item[1])
        )
        return {
            "risk_score": f"round(100 * answer_probability, {DECIMALS - 2})",
            f"{outcome}_probability": "answer_probability",
            "risk_category": f"case {categories} end",
            f"predicted_{outcome}": f"answer_probability >= {LIKELY}",
            "rank": "null",  # known once all are: `bounded`
        }

    def bounded(self, on: Engine, rows: Frame, population: int) -> Frame:  # noqa: ARG002
        """With `top_k`, the likeliest of each first entity key and their rank, 1 first."""
        if not self.own["top_k"]:
            return rows
        kept = ", ".join(
            "cast(place as integer) as rank" if name == "rank" else on.quoted(name)
            for name in on.columns(rows)
        )
        order = on.quoted(f"{self.use_case.outcome}_probability")
        return on.sql(
            f"""
            select {kept}
            from (
                select
                    *,
                    row_number() over (
                        partition by {on.quoted(*self.together)}
                        order by {order} desc, {on.quoted(*self.answer_keys)}
                    ) as place
                from scored
            ) as ranked
            where place <= $most
            """,  # noqa: S608
            {"most": self.own["top_k"]},
            scored=rows,
        )

    def split(self, rows: Rows) -> Split:
        days = np.timedelta64(self.use_case.horizon_days, "D").astype("timedelta64[us]")
        return splits.SPLITS[self.use_case.split or "entities_apart"](rows, days)

    def fit(
        self, frame: pd.DataFrame, part: Indices, rows: Rows, kinds: Mapping[str, str]
    ) -> Fitted:
        from ml.tasks import calibrated

        return calibrated.fit(frame, part, rows, kinds, self.use_case)

    def answers(self, model: Any, frame: pd.DataFrame) -> Numbers:
        from ml.tasks.estimators import one_thread

        with one_thread():
            found = np.asarray(model.predict_proba(frame)[:, 1], dtype=np.float64)
        return {"probability": np.clip(found.round(DECIMALS), 0.0, 1.0)}

    def sight(self, model: Any) -> Sight:
        from ml.tasks import sight

        return sight.of(model)

    def measure(self, truth: NDArray[Any], answers: Numbers) -> dict[str, float]:
        from ml.tasks import evaluation

        return evaluation.measure(truth, answers["probability"])

    def comparable(self, truth: NDArray[Any], entities: Hashes) -> bool:
        return all(
            len(np.unique(entities[truth == label])) >= splits.MINIMUM_ENTITIES for label in (0, 1)
        )

    def baselines(self, judged: Judged) -> list[Known]:
        from ml.tasks import calibrated, evaluation

        learned, held = judged.rows.labels[judged.split.train], len(judged.truth)
        said = {
            "base rate": np.full(held, learned.mean()),
            **calibrated.one_feature(judged, judged.whole),
        }
        own = self.measure(judged.truth, judged.answers)[self.metric]
        return [
            Known(name, evaluation.measure(judged.truth, each)[self.metric], own)
            for name, each in said.items()
        ]

    def importances(self, judged: Judged) -> dict[str, float]:
        from ml.tasks import calibrated, importance

        return importance.permuted(self, judged, calibrated.scorer(self.use_case))

    def contributions(self, model: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
        from ml.tasks.explain import contributions

        return np.asarray(contributions(model, frame), dtype=np.float64).round(DECIMALS)

    def question(self) -> str:
        case = self.use_case
        return (
            f"will the label of an entity ({', '.join(case.entity_keys)}) be 1 within "
            f"{case.horizon_days} days after a cutoff? A calibrated probability, meant to offer "
            "help early. Not meant to decide about a person without a person, nor to be used on "
            "entities unlike those it learned from."
        )

    def sections(self, judged: Judged, measures: Mapping[str, float]) -> list[str]:  # noqa: ARG002
        from ml.tasks import bands

        truth, said = judged.truth, judged.answers["probability"]
        return [
            bands.thresholds_section(truth, said, self.thresholds),
            bands.bands_section(bands_of(self, judged)),
        ]

    def cautions(self, judged: Judged) -> list[str]:
        from ml.tasks import evaluation

        return evaluation.band_warnings(bands_of(self, judged))

    def pictures(self, judged: Judged) -> dict[str, bytes]:
        from ml.tasks import evaluation

        return evaluation.pictures(judged.truth, judged.answers["probability"])

    def facts(self, judged: Judged) -> dict[str, Any]:
        from ml.tasks import evaluation

        truth, said = judged.truth, judged.answers["probability"]
        return {
            "thresholds": evaluation.by_threshold(truth, said, self.thresholds),
            "bands": [asdict(band) for band in bands_of(self, judged)],
        }

    def counts(self, rows: Rows) -> str:
        return f"{int(rows.labels.sum()):,} positive"


def bands_of(task: Classification, judged: Judged) -> Any:
    """What each category promised of the validation rows, and what came."""
    from ml.tasks import evaluation

    entities = judged.rows.entities[judged.split.validation]
    return evaluation.by_band(
        judged.truth, judged.answers["probability"], entities, task.thresholds
    )


def check_thresholds(where: str, thresholds: Any) -> None:
    """Every probability falls into one category: bounds are distinct, and the lowest is 0."""
    if not isinstance(thresholds, Mapping) or not thresholds:
        raise InsighteraError(
            f"{where} is {thresholds!r}; write a lower bound for each category, such as "
            "{Low: 0.0, High: 0.6}."
        )
    wrong = {
        name: bound
        for name, bound in thresholds.items()
        if not name or not is_number(bound) or not 0 <= bound <= 1
    }
    if wrong:
        raise InsighteraError(f"{where}: {wrong} should be named bounds between 0 and 1.")
    bounds = sorted(thresholds.values())
    if len(set(bounds)) < len(bounds):
        raise InsighteraError(
            f"{where} is {dict(thresholds)}: two categories have the same lower bound."
        )
    if bounds[0] != 0:
        raise InsighteraError(
            f"{where} is {dict(thresholds)}: a probability below {bounds[0]} would have no "
            "category. Give the lowest one the bound 0.0."
        )
