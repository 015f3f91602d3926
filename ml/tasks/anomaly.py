"""What is unusual? A score that means the same in every build, and the columns that stand out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml.core.errors import InsighteraError
from ml.core.sql import identifiers, text
from ml.core.use_case import is_number
from ml.engine import Engine, Frame
from ml.tasks import splits
from ml.tasks.protocol import Fitted, Judged, Known, Numbers, Output, Rows, Task
from ml.tasks.rates import reviewed
from ml.tasks.splits import Hashes, Indices, Split

MOST_FLAGGED = 0.5
PERIODS = ("day", "week", "month", "year")


class Anomaly(Task):
    """No label: rows before `as_of` say what is usual, and those at `as_of` are held against it."""

    kind = "anomaly"
    fields = ("domain", "flagged_share", "severities", "types", "period")
    may_lack: ClassVar = {"types": {}, "period": "week"}
    label = ""
    label_rule = "true"
    label_words = "nothing"
    greater_is_better: ClassVar = {"flagged_share": False}
    learned_by = ("tasks/anomaly.py", "tasks/detecting.py", "tasks/anomaly_measures.py")
    rivals = False
    unit = "standard deviations"
    importance = "mean of its contributions to a row's z on validation rows"

    def check(self) -> None:
        where = self.use_case.where
        share = self.own["flagged_share"]
        if not is_number(share) or not 0 < share <= MOST_FLAGGED:
            raise InsighteraError(
                f"{where}.flagged_share is {share!r}; it must be above 0 and at most {MOST_FLAGGED}."
            )
        if not isinstance(self.own["domain"], str) or not self.own["domain"]:
            raise InsighteraError(f"{where}.domain is {self.own['domain']!r}; name one.")
        if self.own["period"] not in PERIODS:
            raise InsighteraError(
                f"{where}.period is {self.own['period']!r}; use one of {', '.join(PERIODS)}."
            )
        types = self.own["types"]
        if not isinstance(types, Mapping) or not all(isinstance(n, str) for n in types.values()):
            raise InsighteraError(
                f"{where}.types is {types!r}; write what kind of anomaly each feature is a sign of."
            )
        bounds = self.own["severities"]
        wrong = not isinstance(bounds, Mapping) or not bounds
        if wrong or not all(is_number(bound) and 0 <= bound <= 100 for bound in bounds.values()):
            raise InsighteraError(
                f"{where}.severities is {bounds!r}; write a lower bound of the score for each, such "
                "as {Low: 0, High: 99}."
            )
        if min(bounds.values()) != 0 or len(set(bounds.values())) < len(bounds):
            raise InsighteraError(
                f"{where}.severities is {dict(bounds)}: bounds are distinct, and the lowest is 0."
            )

    def check_grid(self, grid: Sequence[Mapping[str, Any]]) -> None:
        from ml.tasks import detecting
        from ml.tasks.estimators import EstimatorError

        if len(grid) > 1:
            raise EstimatorError(
                f"the grid has {len(grid)} points, and without a label nothing can choose among "
                "them. Leave one."
            )
        detecting.estimator(self.use_case.estimator, **grid[0])

    def outputs(self) -> tuple[Output, ...]:
        return (
            Output("anomaly_id", pa.string(), "detail"),
            Output("domain", pa.string(), "detail"),
            Output("anomaly_type", pa.string(), "detail"),
            Output("anomaly_score", pa.float64(), "score", "0 to 100"),
            Output("z_score", pa.float64(), "value", "standard deviations"),
            Output("is_anomaly", pa.bool_(), "flag"),
            Output("severity", pa.string(), "category"),
            Output("explanation", pa.string(), "reason"),
        )

    def output_sql(self) -> Mapping[str, str]:
        from ml.tasks.detecting import anomaly_id_sql

        case = self.use_case
        severity = " ".join(
            f"when answer_score >= {float(bound)!r} then {text(name)}"
            for name, bound in sorted(self.own["severities"].items(), key=lambda item: -item[1])
        )
        quoted = lambda *names: identifiers(names)  # noqa: E731
        return {
            "anomaly_id": anomaly_id_sql(
                quoted,
                case.name,
                case.entity_keys,
                self.own["period"],
                "cast($run_at as timestamp)",
            ),
            "domain": text(self.own["domain"]),
            "anomaly_type": "answer_type",
            "anomaly_score": "answer_score",
            "z_score": "answer_z",
            "is_anomaly": "answer_flagged > 0",
            "severity": f"case when answer_flagged > 0 then case {severity} end end",
            "explanation": "answer_explanation",
        }

    def split(self, rows: Rows) -> Split:
        return splits.SPLITS[self.use_case.split or "later"](rows, np.timedelta64(0, "us"))

    def fit(
        self, frame: pd.DataFrame, part: Indices, rows: Rows, kinds: Mapping[str, str]
    ) -> Fitted:
        from sklearn.model_selection import ParameterGrid

        from ml.tasks import selection
        from ml.tasks.detecting import Detector

        chosen = selection.without_label(frame.iloc[part], kinds, self.use_case)
        parameters = dict(next(iter(ParameterGrid(dict(self.use_case.grid)))))
        detector = Detector(
            chosen.kinds,
            float(self.own["flagged_share"]),
            self.use_case.estimator,
            parameters,
            self.use_case.max_rows,
        ).fit(frame.iloc[part][list(chosen.features)], rows.entities[part])
        calibration = (
            "share of usual rows, of other entities than those learned from, that are as far out"
        )
        return Fitted(detector, chosen, parameters, "none: there is no label", calibration)

    def answers(self, model: Any, frame: pd.DataFrame) -> Numbers:
        found = dict(model.answers(frame))
        types, reasons = model.words(
            frame, found["flagged"] > 0, self.own["types"], self.use_case.words
        )
        found["type"] = np.array(types, dtype=object)
        found["explanation"] = np.array(reasons, dtype=object)
        return found

    def measure(self, truth: NDArray[Any], answers: Numbers) -> dict[str, float]:  # noqa: ARG002
        return {"flagged_share": float(np.mean(answers["flagged"]))}

    def comparable(self, truth: NDArray[Any], entities: Hashes) -> bool:  # noqa: ARG002
        return len(truth) > 0

    def baselines(self, judged: Judged) -> list[Known]:  # noqa: ARG002
        return []  # a share that is flagged is no quality: `sections` says what can be compared

    def importances(self, judged: Judged) -> dict[str, float]:
        from ml.tasks import importance

        columns = list(judged.fitted.selection.features)
        rows = judged.frame.iloc[: importance.ROWS][columns]
        means = np.abs(judged.fitted.model.contributions(rows)).mean(axis=0)
        return importance.ordered(dict(zip(columns, means.tolist(), strict=True)))

    def contributions(self, model: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
        return np.asarray(model.contributions(frame), dtype=np.float64)

    def question(self) -> str:
        return (
            f"which {', '.join(self.use_case.entity_keys)} are unlike what was usual before? A "
            "score from 0 to 100, and the columns that stand out. Meant to say where to look. "
            "Unusual is not wrong, and nobody is to be blamed without having been asked."
        )

    def sections(self, judged: Judged, measures: Mapping[str, float]) -> list[str]:
        from ml.tasks import anomaly_measures as say

        share, model = float(self.own["flagged_share"]), judged.fitted.model
        columns = list(judged.fitted.selection.features)
        robust = model.baseline(judged.frame[columns])["flagged"]
        compared = say.measure(judged.answers["flagged"], robust)
        periods = say.by_period(
            judged.rows.cutoffs[judged.split.validation], judged.answers["flagged"]
        )
        return [
            say.score_section(share, self.own["severities"]),
            say.expectation_section(periods, share, self.own["period"]),
            say.planted_section({**measures, **compared}, compared),
            say.reviews_section(reviewed(*judged.reviews)),
            say.usual_section(columns, model.usual(), self.use_case.words),
        ]

    def facts(self, judged: Judged) -> dict[str, Any]:
        return {"reviews": asdict(reviewed(*judged.reviews))}

    def bounded(self, on: Engine, rows: Frame, population: int) -> Frame:
        """In one run at most `flagged_share` of the population is flagged, the most unusual, and
        one always may be: a week that is unusual for everyone is no list of suspects. Scores stay.
        """
        most = max(1, int(float(self.own["flagged_share"]) * population))
        keys = on.quoted(*self.use_case.entity_keys)
        given_up = {
            "is_anomaly": "case when place <= $most then is_anomaly else false end",
            **{
                name: f"case when place <= $most then {name} end"
                for name in ("severity", "anomaly_type", "explanation")
            },
        }
        kept = ", ".join(
            f"{given_up[name]} as {name}" if name in given_up else on.quoted(name)
            for name in on.columns(rows)
        )
        order = f"is_anomaly desc, anomaly_score desc, z_score desc, {keys}"
        return on.sql(
            f"""
            select {kept}
            from (
                select *, row_number() over (order by {order}) as place
                from scored
            ) as ranked
            """,  # noqa: S608
            {"most": most},
            scored=rows,
        )

    def factor_values(self, model: Any) -> Mapping[str, Sequence[Any]]:
        usual: Mapping[str, Sequence[Any]] = model.usual()
        return usual
