"""How good forecasts and their intervals are, beside naive ones, and what the card says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mean_poisson_deviance

from ml.tasks.markdown import bullets, percent, table

if TYPE_CHECKING:
    from ml.tasks.forecasting import Total

Floats = NDArray[np.float64]

# A forecast of exactly 0 makes the deviance of a count above it infinite; so many it counts as.
LEAST_COUNT = 0.01
SIZES = 3  # groups of rows by size, in which coverage is told apart
TOLERATED = 0.05  # of coverage, either way, before the card warns
FEW = 30  # rows below which a line of the card is no finding


@dataclass(frozen=True)
class Baseline:
    """A naive forecast on the rows where it has one, and the model on the same rows."""

    name: str
    rows: int
    mae: float
    model_mae: float

    @property
    def skill(self) -> float:
        """Share of the baseline's error that is gone; negative where the model errs more."""
        if self.mae == 0:
            return 0.0 if self.model_mae == 0 else -np.inf
        return 1 - self.model_mae / self.mae


@dataclass(frozen=True)
class Group:
    """Some of the judged rows, e.g. those of a horizon."""

    name: str
    rows: int
    mae: float
    bias: float
    coverage: float
    width: float
    baselines: tuple[Baseline, ...]


@dataclass(frozen=True)
class Answers:
    """Judged rows, aligned: the truth, what was said of it, and what naive forecasts say (NaN where
    one says nothing).
    """

    truth: Floats
    value: Floats
    lower: Floats
    upper: Floats
    baselines: Mapping[str, Floats]

    def at(self, rows: NDArray[Any]) -> "Answers":
        """Some of them, by number or mask."""
        return Answers(
            self.truth[rows],
            self.value[rows],
            self.lower[rows],
            self.upper[rows],
            {name: values[rows] for name, values in self.baselines.items()},
        )


def measure(
    truth: Floats, value: Floats, lower: Floats, upper: Floats, naive: float = np.nan
) -> dict[str, float]:
    """MAE, RMSE, bias (mean of forecast minus truth) and interval width in units of the outcome,
    coverage as a share; MASE where `naive` (`naive_error`) is given, Poisson deviance where no
    truth and no forecast is negative.

    Source of MASE: Hyndman & Koehler, International Journal of Forecasting 22(4), 2006.
    """
    errors = value - truth
    found = {
        "mae": float(np.mean(np.abs(errors))),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "bias": float(np.mean(errors)),
        "coverage": float(np.mean((lower <= truth) & (truth <= upper))),
        "interval_width": float(np.mean(upper - lower)),
    }
    if naive > 0:
        found["mase"] = found["mae"] / naive
    if min(truth.min(), value.min()) >= 0:
        said = np.maximum(value, LEAST_COUNT)
        found["poisson_deviance"] = float(mean_poisson_deviance(truth, said))
    return found


@dataclass(frozen=True)
class OfTotal:
    """How good the sums of so many periods are, on the judged side."""

    periods: int
    number: int  # of sums
    error: float  # mean absolute
    coverage: float
    width: float


def of_totals(totals: "Sequence[Total]") -> list[OfTotal]:
    """The measures of sums beside their truths, by how many periods they are of."""
    found = []
    for periods in sorted({total.periods for total in totals}):
        said = [(t.value, t.lower, t.upper, t.truth) for t in totals if t.periods == periods]
        value, lower, upper, truth = np.array(said).T
        told = measure(truth, value, lower, upper)
        found.append(
            OfTotal(periods, len(said), told["mae"], told["coverage"], told["interval_width"])
        )
    return found


def totals_sections(
    measured: Sequence[OfTotal], without: Mapping[int, str], level: float, unit: str
) -> list[str]:
    """The card's section about sums of periods: none where no sum is asked for."""
    if not measured and not without:
        return []
    rows = [
        [str(t.periods), f"{t.number:,}", f"{t.error:.4g}", percent(t.coverage), f"{t.width:.4g}"]
        for t in measured
    ]
    head = ["periods", "sums judged", f"mean error ({unit})", "held", f"mean width ({unit})"]
    shown = table(head, rows) if rows else "No sum has all of its periods on the judged side."
    told = bullets([f"{n} periods have no interval: {why}." for n, why in sorted(without.items())])
    return [
        "## Totals\n\nThe sum of several periods has an interval of its own, from the errors that such sums "
        "made: errors partly cancel, so that the sum of lower ends would lie too low. It promises "
        f"{percent(level)}.\n\n" + "\n\n".join(filter(None, (shown, told)))
    ]


def naive_error(truth: Floats, naive: Floats) -> float:
    """MASE's unit: mean absolute error of a naive forecast on *training* rows; NaN where it never
    has one.
    """
    known = ~np.isnan(naive)
    return float(np.mean(np.abs(truth[known] - naive[known]))) if known.any() else float("nan")


def against(answers: Answers) -> list[Baseline]:
    """Each baseline, the hardest first (least skill). One that says nothing anywhere is left out."""
    found = []
    for name, said in answers.baselines.items():
        known = ~np.isnan(said)
        if known.any():
            truth = answers.truth[known]
            found.append(
                Baseline(
                    name=name,
                    rows=int(known.sum()),
                    mae=float(np.mean(np.abs(truth - said[known]))),
                    model_mae=float(np.mean(np.abs(truth - answers.value[known]))),
                )
            )
    return sorted(found, key=lambda baseline: baseline.skill)


def beats_baseline(baselines: Sequence[Baseline]) -> tuple[bool, str]:
    """Whether the forecasts err less than every baseline on that one's rows, and a sentence."""
    if not baselines:
        return False, "no baseline says anything of the judged rows: there is nothing to beat"
    hardest = min(baselines, key=lambda baseline: baseline.skill)
    verb = "beats" if hardest.skill > 0 else "does not beat"
    return hardest.skill > 0, (
        f"{verb} its best baseline, {hardest.name}: mean absolute error {hardest.model_mae:.4g} "
        f"against {hardest.mae:.4g} on the same {hardest.rows:,} rows ({hardest.skill:+.1%})"
    )


def groups(answers: Answers, of: NDArray[np.object_]) -> list[Group]:
    """The measures of each group (`of`: its name, a text a row), in the order of first rows."""
    found = []
    for name in dict.fromkeys(of.tolist()):
        part = answers.at(of == name)
        measures = measure(part.truth, part.value, part.lower, part.upper)
        found.append(
            Group(
                name=str(name),
                rows=len(part.truth),
                mae=measures["mae"],
                bias=measures["bias"],
                coverage=measures["coverage"],
                width=measures["interval_width"],
                baselines=tuple(against(part)),
            )
        )
    return found


def by_horizon(answers: Answers, horizons: NDArray[np.int64]) -> list[Group]:
    """The measures of each horizon, the nearest first."""
    order = np.argsort(horizons, kind="stable")
    return groups(answers.at(order), horizons[order].astype(str).astype(object))


def by_size(answers: Answers) -> list[Group]:
    """The measures of small, middle and large forecasts, a third of the rows each."""
    edges = np.quantile(answers.value, np.arange(1, SIZES) / SIZES)
    thirds = np.searchsorted(edges, answers.value, side="left")
    names = np.array(["small", "middle", "large"], dtype=object)[thirds]
    found = groups(answers, names)
    return sorted(found, key=lambda group: ["small", "middle", "large"].index(group.name))


def interval_section(
    measures: Mapping[str, float], level: float, unit: str, calibration: str
) -> str:
    """What an interval promises, and what it kept."""
    off = measures["coverage"] - level
    kept = "as promised"
    if abs(off) > TOLERATED:
        kept = "**less than promised**" if off < 0 else "more than promised: they are too wide"
    return (
        "## Intervals\n\n"
        f"Each forecast comes with a lower and an upper bound. Of ten truths, {10 * level:.2g} "
        "should lie between them: it is no bound on what can happen, and one year in which "
        "everything changes at once breaks many intervals together.\n\n"
        + bullets(
            [
                f"promised {level:.0%}, measured {percent(measures['coverage'])} on periods later "
                f"than those the width was learned from: {kept}",
                f"mean width {measures['interval_width']:,.4g} {unit}".rstrip(),
                f"width learned from {calibration}",
            ]
        )
    )


def baselines_section(found: Sequence[Group], baselines: Sequence[Baseline], unit: str) -> str:
    """The error beside the naive forecasts', over all and by horizon."""
    names = sorted(baseline.name for baseline in baselines)
    _, sentence = beats_baseline(baselines)
    rows = []
    for group in found:
        theirs = {baseline.name: baseline for baseline in group.baselines}
        rows.append(
            (
                group.name,
                f"{group.rows:,}",
                f"**{group.mae:,.4g}**",
                *(f"{theirs[name].mae:,.4g}" if name in theirs else "-" for name in names),
                percent(group.baselines[0].skill) if group.baselines else "-",
                percent(group.coverage),
            )
        )
    return (
        f"## Error by horizon{f', in {unit}' if unit else ''}\n\n"
        f"Mean absolute error: how far a forecast is off on average. This version {sentence}. A "
        "version that does not beat its baseline never becomes champion.\n\n"
        + table(
            (
                "periods ahead",
                "rows",
                "this version",
                *names,
                "better than the best by",
                "in the interval",
            ),
            rows,
        )
    )


def limits_section(answers: Answers, horizons: Sequence[Group], level: float, unit: str) -> str:
    """Where it fails: horizons that lose against a baseline, sizes whose intervals do not hold, a
    lean to one side. Nothing is said of any single series.
    """
    sentences = limits(answers, horizons, level, unit)
    if not sentences:
        return (
            "## Where it fails\n\nNo horizon loses against a baseline, no third of the forecasts by "
            "size misses its coverage, and it leans to no side."
        )
    return "## Where it fails\n\n" + bullets(sentences)


def limits(answers: Answers, horizons: Sequence[Group], level: float, unit: str) -> list[str]:
    """A sentence for each failure; also the cautions of a version."""
    sentences = []
    for group in horizons:
        lost = [baseline for baseline in group.baselines if baseline.skill <= 0]
        if lost and group.rows >= FEW:
            sentences.append(
                f"{group.name} periods ahead, {lost[0].name} is as good or better "
                f"({lost[0].mae:,.4g} against {lost[0].model_mae:,.4g} {unit}".rstrip()
                + "): use that there"
            )
    for group in by_size(answers):
        if abs(group.coverage - level) > 2 * TOLERATED and group.rows >= FEW:
            sentences.append(
                f"intervals of {group.name} forecasts hold {group.coverage:.0%} where {level:.0%} "
                f"is promised ({group.rows:,} rows)"
            )
    whole = measure(answers.truth, answers.value, answers.lower, answers.upper)
    if abs(whole["bias"]) > whole["mae"] / 2:
        side = "high" if whole["bias"] > 0 else "low"
        sentences.append(
            f"forecasts are too {side} as a whole, by {abs(whole['bias']):,.4g} {unit}".rstrip()
            + " on average: in the judged periods something moved all series alike"
        )
    return sentences
