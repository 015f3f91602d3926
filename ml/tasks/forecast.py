"""How much will it be? A number for a target period, with an interval measured on later time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml.core.errors import InsighteraError
from ml.core.use_case import is_number
from ml.engine import Engine, Frame
from ml.features.model_input import Sight
from ml.tasks import splits
from ml.tasks.conformal import TOTAL_TERMS
from ml.tasks.protocol import Fitted, Judged, Known, Numbers, Output, Rows, Task
from ml.tasks.splits import Hashes, Indices, Split

if TYPE_CHECKING:
    from ml.tasks.forecast_measures import Answers
    from ml.tasks.forecasting import Total
    from ml.tasks.selection import Selection

DECIMALS = 6


class Forecast(Task):
    """A label that is a number, of a `target_period` that is `horizon` periods ahead, known at
    `matures_at`.
    """

    kind = "forecast"
    fields = ("interval", "baselines", "non_negative", "unit", "totals")
    may_lack: ClassVar = {"totals": ()}
    target_columns = ("target_period", "horizon")
    answer_columns = ("target_period",)  # nearer to it, a forecast replaces one from farther away
    target_rules: ClassVar = {
        "target_period": ("target_period is not null", "a period"),
        "horizon": (
            "try_cast(horizon as double) >= 1 and try_cast(horizon as double) % 1 = 0",
            "a whole number from 1 up",
        ),
    }
    matures = "matures_at"
    label_words = "a finite number (not below 0 where `non_negative`) or NULL"
    greater_is_better: ClassVar = {
        "mae": False,
        "rmse": False,
        "poisson_deviance": False,
    }
    learned_by = (
        *("tasks/forecast.py", "tasks/forecasting.py", "tasks/forecast_measures.py"),
        "tasks/conformal.py",
    )

    def check(self) -> None:
        where = self.use_case.where
        level = self.own["interval"]
        if not is_number(level) or not 0 < level < 1:
            raise InsighteraError(f"{where}.interval is {level!r}; it must lie between 0 and 1.")
        if not isinstance(self.own["non_negative"], bool):
            raise InsighteraError(
                f"{where}.non_negative is {self.own['non_negative']!r}; write true or false."
            )
        known = self.own["baselines"]
        named = isinstance(known, Mapping) and all(isinstance(name, str) for name in known.values())
        if not named or not known:
            raise InsighteraError(
                f"{where}.baselines is {known!r}; name the columns that are naive forecasts, such "
                "as {last_value: active_students}: a forecast must beat them."
            )
        if self.use_case.max_features < len(self._always()):
            raise InsighteraError(
                f"{where}.max_features is {self.use_case.max_features}; mandatory features, "
                f"baselines and what is known ahead are {len(self._always())}."
            )
        if not isinstance(self.own["unit"], str):
            raise InsighteraError(f"{where}.unit is {self.own['unit']!r}; write a text.")
        totals = self.own["totals"]
        if not isinstance(totals, list | tuple) or not all(
            type(periods) is int and periods > 1 for periods in totals
        ):
            raise InsighteraError(
                f"{where}.totals is {totals!r}; write a list of how many periods are summed, such as "
                "[3, 12]."
            )
        self.unit = self.own["unit"]
        floor = " and try_cast(label as double) >= 0" if self.own["non_negative"] else ""
        self.label_rule = f"abs(try_cast(label as double)) < 1e300{floor}"

    def check_grid(self, grid: Sequence[Mapping[str, Any]]) -> None:
        from ml.tasks import estimators

        for parameters in grid:
            estimators.estimator(self.use_case.estimator, regressor=True, **parameters)

    @property
    def baseline_columns(self) -> Mapping[str, str]:
        """Name -> column that is that naive forecast."""
        columns: Mapping[str, str] = self.own["baselines"]
        return columns

    @property
    def together(self) -> tuple[str, ...]:
        """A total is of several periods: those of an entity are answered at once."""
        return self.use_case.entity_keys if self.own["totals"] else self.answer_keys

    @property
    def carried(self) -> Mapping[str, pa.DataType]:
        return dict.fromkeys(TOTAL_TERMS, pa.float64()) if self.own["totals"] else {}

    def outputs(self) -> tuple[Output, ...]:
        outcome = self.use_case.outcome
        totals = (
            Output(f"total_{outcome}", pa.float64(), "total", self.unit),
            Output("total_lower", pa.float64(), "total_lower", self.unit),
            Output("total_upper", pa.float64(), "total_upper", self.unit),
        )
        return (
            Output("target_period", pa.string(), "target"),
            Output("horizon", pa.int32(), "horizon", "periods"),
            Output(f"forecasted_{outcome}", pa.float64(), "value", self.unit),
            Output(f"{outcome}_lower", pa.float64(), "lower", self.unit),
            Output(f"{outcome}_upper", pa.float64(), "upper", self.unit),
            Output("interval_level", pa.float64(), "level", "0 to 1"),
            *(totals if self.own["totals"] else ()),
        )

    def output_sql(self) -> Mapping[str, str]:
        outcome = self.use_case.outcome
        return {
            "horizon": "horizon",
            f"forecasted_{outcome}": "answer_value",
            f"{outcome}_lower": "answer_lower",
            f"{outcome}_upper": "answer_upper",
            "interval_level": repr(float(self.own["interval"])),
            # known once all periods are: `bounded`
            **dict.fromkeys((f"total_{outcome}", "total_lower", "total_upper"), "null"),
        }

    def bounded(self, on: Engine, rows: Frame, population: int) -> Frame:  # noqa: ARG002
        """With `totals`, at the horizon of 3, 6, 12 … periods the sum of the forecasts so far where none
        is missing, its interval by the errors that totals made.
        """
        if not self.own["totals"]:
            return rows
        outcome = self.use_case.outcome
        floor = "greatest(0.0, {})" if self.own["non_negative"] else "{}"
        spread = "pow(size, total_power)"
        said = {
            f"total_{outcome}": "total",
            "total_lower": floor.format(f"total - {spread} * total_below"),
            "total_upper": floor.format(f"total + {spread} * total_above"),
        }
        kept = ", ".join(
            f"case when periods = horizon and not isnan(total_power) then round({said[name]}, {DECIMALS}) "
            f"end as {on.quoted(name)}"
            if name in said
            else on.quoted(name)
            for name in on.columns(rows)
            if name not in self.carried
        )
        so_far = (
            f"over (partition by {on.quoted(*self.use_case.entity_keys)} order by horizon "
            "rows between unbounded preceding and current row)"
        )
        held = on.kept("select * from scored", scored=rows)  # windows read their source twice
        return on.sql(
            f"""
            select {kept}
            from (
                select
                    *,
                    sum({on.quoted(f"forecasted_{outcome}")}) {so_far} as total,
                    sum(total_size) {so_far} as size,
                    count(*) {so_far} as periods
                from scored
            ) as summed
            """,  # noqa: S608
            scored=held,
        )

    def split(self, rows: Rows) -> Split:
        return splits.SPLITS[self.use_case.split or "rolling_origin"](rows, np.timedelta64(0, "us"))

    def fit(
        self, frame: pd.DataFrame, part: Indices, rows: Rows, kinds: Mapping[str, str]
    ) -> Fitted:
        from ml.tasks.forecasting import Forecaster, Terms

        learned, labels = frame.iloc[part], rows.labels[part].astype(np.float64)
        chosen = self._selected(learned, labels, rows.entities[part], kinds)
        terms = Terms(
            estimator=self.use_case.estimator,
            kinds=chosen.kinds,
            baselines=self.baseline_columns,
            grid=self.use_case.grid,
            level=float(self.own["interval"]),
            non_negative=self.own["non_negative"],
            folds=self.use_case.cv_folds,
            totals=tuple(self.own["totals"]),
        )
        past = replace(
            rows,
            cutoffs=rows.cutoffs[part],
            matured=rows.matured[part],
            entities=rows.entities[part],
        )
        model = Forecaster(terms).fit(learned[list(chosen.features)], labels, past)
        learns = f"learns {model.target_.words}"
        return Fitted(
            model, chosen, model.parameters_, f"{model.folds_}; {learns}", self._width(model)
        )

    def answers(self, model: Any, frame: pd.DataFrame) -> Numbers:
        found = model.intervals(frame)
        rounded = {name: np.round(values, DECIMALS) for name, values in found.items()}
        return {**rounded, **(model.total_terms(frame) if self.own["totals"] else {})}

    def sight(self, model: Any) -> Sight:
        """A forecast is a sum with its baselines, and its interval goes by size and horizon: of these
        every value is seen.
        """
        from ml.tasks import sight

        whole = {*self.baseline_columns.values(), model.terms.horizon}
        told = sight.of(model.pipeline_)
        return {name: seen for name, seen in told.items() if name not in whole}

    def measure(self, truth: NDArray[Any], answers: Numbers) -> dict[str, float]:
        from ml.tasks import forecast_measures

        value, lower, upper = (answers[name] for name in ("value", "lower", "upper"))
        return forecast_measures.measure(truth.astype(np.float64), value, lower, upper)

    def more_measures(self, judged: Judged) -> dict[str, float]:
        """MASE, its unit the first baseline's error on the training rows."""
        from ml.tasks import forecast_measures

        first = next(iter(self.baseline_columns.values()))
        learned = judged.split.train
        unit = forecast_measures.naive_error(
            judged.rows.labels[learned].astype(np.float64),
            judged.whole[first].to_numpy(dtype=np.float64)[learned],
        )
        error = float(np.mean(np.abs(judged.answers["value"] - judged.truth)))
        found = {"mase": error / unit} if unit > 0 else {}
        for total in forecast_measures.of_totals(self._totals(judged)):
            found |= {
                f"mae_total_{total.periods}": total.error,
                f"coverage_total_{total.periods}": total.coverage,
            }
        return found

    def comparable(self, truth: NDArray[Any], entities: Hashes) -> bool:  # noqa: ARG002
        return len(truth) >= splits.MINIMUM_FORECASTS

    def baselines(self, judged: Judged) -> list[Known]:
        found = []
        told = self._told(judged)
        for name, said in told.baselines.items():
            rows = np.flatnonzero(~np.isnan(said))
            if len(rows):
                own = {key: values[rows] for key, values in judged.answers.items()}
                naive = dict.fromkeys(own, said[rows])
                truth = judged.truth[rows]
                found.append(
                    Known(
                        name,
                        self.measure(truth, naive)[self.metric],
                        self.measure(truth, own)[self.metric],
                    )
                )
        return found

    def importances(self, judged: Judged) -> dict[str, float]:
        from ml.tasks import importance

        def scorer(model: Any, frame: pd.DataFrame, truth: NDArray[Any]) -> float:
            return -self.measure(truth, self.answers(model, frame))[self.metric]

        return importance.permuted(self, judged, scorer)

    def contributions(self, model: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
        from ml.tasks.explain import contributions

        return np.asarray(contributions(model, frame), dtype=np.float64).round(DECIMALS)

    def question(self) -> str:
        case = self.use_case
        return (
            f"how much will `{case.outcome}` of {', '.join(case.entity_keys)} be in each target "
            f"period, in {self.unit}? A number and an interval that {self.own['interval']:.0%} of "
            "truths should lie in. Meant for planning; it does not know of decisions that are not "
            "in the data."
        )

    def sections(self, judged: Judged, measures: Mapping[str, float]) -> list[str]:
        from ml.tasks import forecast_measures as say

        told, level = self._told(judged), float(self.own["interval"])
        horizons = self._horizons(judged)
        groups = say.by_horizon(told, horizons)
        return [
            say.interval_section(measures, level, self.unit, judged.fitted.calibration),
            say.baselines_section(groups, say.against(told), self.unit),
            say.limits_section(told, groups, level, self.unit),
            *say.totals_sections(
                say.of_totals(self._totals(judged)), judged.fitted.model.without_, level, self.unit
            ),
        ]

    def cautions(self, judged: Judged) -> list[str]:
        from ml.tasks import forecast_measures as say

        told = self._told(judged)
        groups = say.by_horizon(told, self._horizons(judged))
        return say.limits(told, groups, float(self.own["interval"]), self.unit)

    def _told(self, judged: Judged) -> "Answers":
        """The validation rows as `forecast_measures` takes them."""
        from ml.tasks.forecast_measures import Answers

        said = judged.answers
        return Answers(
            judged.truth.astype(np.float64),
            said["value"],
            said["lower"],
            said["upper"],
            {
                name: judged.frame[column].to_numpy(dtype=np.float64)
                for name, column in self.baseline_columns.items()
            },
        )

    def _totals(self, judged: Judged) -> "list[Total]":
        """Sums of several periods on the validation side, beside their truths."""
        held, rows, model = judged.split.validation, judged.rows, judged.fitted.model
        history = replace(
            rows,
            cutoffs=rows.cutoffs[held],
            matured=rows.matured[held],
            entities=rows.entities[held],
        )
        frame = judged.frame[list(judged.fitted.selection.features)]
        found: list[Total] = model.totals(frame, history, judged.truth.astype(np.float64))
        return found

    def _horizons(self, judged: Judged) -> NDArray[np.int64]:
        held: NDArray[np.int64] = judged.rows.keys["horizon"].to_numpy().astype(np.int64)
        return held[judged.split.validation]

    def _always(self) -> tuple[str, ...]:
        """Features that are never left out: the mandatory ones, the baselines, what is known
        ahead.
        """
        case = self.use_case
        return tuple(
            dict.fromkeys([*case.mandatory, *self.baseline_columns.values(), *case.known_ahead])
        )

    def _selected(
        self,
        frame: pd.DataFrame,
        labels: NDArray[np.float64],
        entities: Hashes,
        kinds: Mapping[str, str],
    ) -> "Selection":
        """By what columns say of whether the label exceeds the first baseline by more than usual."""
        from ml.tasks import selection

        lost = [name for name in self._always() if name not in kinds]
        if lost:
            raise InsighteraError(
                f"{self.use_case.where}: {lost} are named as baselines or known ahead, and are in "
                "neither the feature tables nor the spine, or may not be features."
            )
        first = frame[next(iter(self.baseline_columns.values()))].to_numpy(dtype=np.float64)
        beyond = labels - np.where(np.isnan(first), np.nanmedian(labels), first)
        above = (beyond > np.median(beyond)).astype(np.int64)
        case = replace(self.use_case, mandatory=self._always())
        return selection.select(frame, above, entities, kinds, case)

    def _width(self, model: Any) -> str:
        return str(getattr(model.calibration_, "words", "errors at the inner origins"))
