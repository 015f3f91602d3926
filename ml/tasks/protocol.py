"""What a kind of question has to say for itself; training, scoring, publishing and monitoring ask
nothing else, and never which kind it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml.core.errors import InsighteraError
from ml.core.use_case import UseCase
from ml.engine import Engine, Frame
from ml.features.model_input import Sight
from ml.tasks.splits import SPLITS, Hashes, Indices, Split, Times

if TYPE_CHECKING:  # most builds train nothing: they start without scikit-learn
    from ml.tasks.selection import Selection

Numbers = Mapping[str, NDArray[Any]]  # what a model says of some rows: an array each, named


@dataclass(frozen=True)
class Output:
    """A column of the answers. Its role is what others go by: `value` (what is asked, as a number),
    `lower`, `upper` and `level` (of its interval), `score` (0 to 100, what a list is sorted by),
    `category`, `flag`, `reason` (why, in words), `target` and `horizon` (what the answer is about
    beside the entity), `detail`.
    """

    name: str
    type: pa.DataType
    role: str
    unit: str = ""


@dataclass(frozen=True)
class Rows:
    """The matured rows, ordered by their keys and cutoff; all aligned."""

    keys: pa.Table  # entity keys, what else the task's answer is about, cutoff
    cutoffs: Times
    matured: Times  # when the label could be known
    labels: NDArray[Any]  # of the task's own type; without labels, nothing but zeros
    entities: Hashes  # of the entity keys
    apart: (
        Hashes  # what splits keep on one side: the entities, or (rows, n) the nodes they consist of
    )
    sampled: bool
    spine: Frame  # the keys and what is known ahead, where the feature tables are

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Fitted:
    """What the procedure (selection, grid, calibration) made of some rows."""

    model: Any  # pickles; `Task.answers` reads it
    selection: "Selection"
    parameters: Mapping[str, Any]
    folds: str  # in words, for the card
    calibration: str


@dataclass(frozen=True)
class Judged:
    """The validated procedure's answers about rows it had not seen, and its baselines' there."""

    rows: Rows
    split: Split
    frame: pd.DataFrame  # candidate columns of the validation rows
    whole: pd.DataFrame  # of all rows
    truth: NDArray[Any]
    answers: Numbers
    fitted: Fitted
    # of what earlier versions flagged: how many people confirmed, how many were false alarms
    reviews: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Known:
    """A baseline's measure on the validation rows."""

    name: str
    value: float
    own: float  # the procedure's, on the same rows


class Task(ABC):
    """One use case's kind of question. `ml.tasks.of` makes one, its part of `meta.use_case` checked."""

    kind: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]  # of `meta.use_case`, beside the common ones
    may_lack: ClassVar[Mapping[str, Any]] = {}  # of them those that have a default
    target_columns: ClassVar[tuple[str, ...]] = ()  # of the spine: a row is about them too
    answer_columns: ClassVar[tuple[str, ...]] = ()  # of those, what names an answer
    label: ClassVar[str] = "label"  # column of the spine; empty: there is none
    label_type: ClassVar[str] = "double"  # SQL
    label_rule: str  # SQL: whether `label`, not NULL, is one
    label_words: ClassVar[str]  # what it must be
    # column of `target_columns` -> SQL of whether its value is one, and what it must be
    target_rules: ClassVar[Mapping[str, tuple[str, str]]] = {}
    matures: ClassVar[str] = ""  # column of the spine; empty: `horizon_days` after the cutoff
    greater_is_better: ClassVar[Mapping[str, bool]]  # of each measure that may decide
    learned_by: ClassVar[tuple[str, ...]] = ()  # own modules under `ml/` that a version depends on
    rivals: ClassVar[bool] = True  # whether a new version must beat the champion on the same rows
    unit: str = ""  # of a contribution
    importance: ClassVar[str] = "drop of {metric} on validation rows when the feature is shuffled"

    def __init__(self, use_case: UseCase) -> None:
        self.use_case = use_case
        self.own: dict[str, Any] = {**self.may_lack, **use_case.own}

    def check_fields(self) -> None:
        """Raise InsighteraError where a field of the task is missing, unknown or makes no sense."""
        use_case, own = self.use_case, self.use_case.own
        missing = sorted(set(self.fields) - set(self.may_lack) - set(own))
        unknown = sorted(set(own) - set(self.fields))
        if missing or unknown:
            raise InsighteraError(
                f"{use_case.where} ({self.kind}) misses {missing or 'nothing'} and has unknown "
                f"{unknown or 'nothing'}. The fields are described in docs/use-cases.md."
            )
        metric = use_case.promotion["metric"]
        if metric not in self.greater_is_better:
            raise InsighteraError(
                f"{use_case.where}.promotion.metric is {metric!r}; {self.kind} knows "
                f"{', '.join(self.greater_is_better)}."
            )
        if use_case.split and use_case.split not in SPLITS:
            raise InsighteraError(
                f"{use_case.where}.split is {use_case.split!r}; use one of {', '.join(SPLITS)}, or "
                "leave it out."
            )
        if use_case.split == "nodes_apart" and len(use_case.nodes) < 2:
            raise InsighteraError(
                f"{use_case.where}.split is nodes_apart, which keeps both sides of a pair from being "
                "known: name at least two sides of the entity keys in `join_key_map`."
            )
        self.check()

    @property
    def metric(self) -> str:
        """The measure that decides."""
        return str(self.use_case.promotion["metric"])

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The columns that name an answer: one prediction each, version and instant."""
        return (*self.use_case.entity_keys, *self.answer_columns)

    @property
    def together(self) -> tuple[str, ...]:
        """The columns of `answer_keys` whose answers are made at once: where one of them is due, all
        of them are.
        """
        return self.answer_keys

    @property
    def carried(self) -> Mapping[str, pa.DataType]:
        """Numbers of `answers` that `bounded` reads, and leaves out, beside the outputs."""
        return {}

    @property
    def beside(self) -> tuple[str, ...]:
        """Columns that the spine has beside entity keys, cutoff and label."""
        case = self.use_case
        return (*dict.fromkeys((*self.target_columns, *case.known_ahead, *case.join_columns)),)

    def refuse_lacking(self, spine: Sequence[str], *also: str) -> None:
        """Raise InsighteraError where the spine, whose columns are given, lacks one that is asked
        for in every build, or one of `also`.
        """
        wanted = {*self.use_case.entity_keys, "cutoff", *self.beside, *also}
        missing = sorted(wanted - set(spine))
        if missing:
            told = [name for name in missing if name in self.use_case.known_ahead]
            where = f" ({told} of meta.use_case.known_ahead)" if told else ""
            raise InsighteraError(
                f"label_{self.use_case.name} lacks the columns {missing}{where}; it has "
                f"{list(spine)}."
            )

    @abstractmethod
    def check(self) -> None:
        """The task's own fields."""

    def check_estimator(self) -> None:
        """What only scikit-learn can tell: the estimator and its grid."""
        from sklearn.model_selection import ParameterGrid

        with self.naming_grid():
            self.check_grid(list(ParameterGrid(dict(self.use_case.grid))))

    @contextmanager
    def naming_grid(self) -> Iterator[None]:
        """What an estimator refuses in here becomes one message with the fields that asked for it."""
        from ml.tasks.estimators import EstimatorError

        try:
            yield
        except EstimatorError as error:
            case = self.use_case
            raise InsighteraError(
                f"{case.where}.estimator or its grid ({case.estimator} with {dict(case.grid)}): {error}"
            ) from error

    @abstractmethod
    def check_grid(self, grid: Sequence[Mapping[str, Any]]) -> None:
        """Whether the task can use the estimator at each point of the grid. Raises EstimatorError."""

    @abstractmethod
    def outputs(self) -> tuple[Output, ...]:
        """The columns of the answers, in their order."""

    @abstractmethod
    def output_sql(self) -> Mapping[str, str]:
        """SQL of each output, over the numbers of `answers`, the batch's columns, `factor_rank`."""

    @abstractmethod
    def split(self, rows: Rows) -> Split:
        """Who learns and who judges. Raises TooLittleDataError."""

    @abstractmethod
    def fit(
        self, frame: pd.DataFrame, part: Indices, rows: Rows, kinds: Mapping[str, str]
    ) -> Fitted:
        """The whole procedure on the rows at `part`; `frame` holds every candidate column of all
        of `rows`. Raises TooLittleDataError.
        """

    @abstractmethod
    def answers(self, model: Any, frame: pd.DataFrame) -> Numbers:
        """What `model` says of rows of its features, rounded as it is published."""

    def sight(self, model: Any) -> Sight:  # noqa: ARG002
        """What `model`'s answers and contributions can tell apart of its features. None of them is other
        where nothing that is seen is.
        """
        return {}

    @abstractmethod
    def measure(self, truth: NDArray[Any], answers: Numbers) -> dict[str, float]:
        """Every measure, by name; those of `greater_is_better` are among them."""

    def more_measures(self, judged: Judged) -> dict[str, float]:  # noqa: ARG002
        """Measures that need more than truth and answers; none of them decides."""
        return {}

    @abstractmethod
    def comparable(self, truth: NDArray[Any], entities: Hashes) -> bool:
        """Whether these rows suffice to compare two models on."""

    @abstractmethod
    def baselines(self, judged: Judged) -> list[Known]:
        """What must be beaten, by the deciding measure on the validation rows."""

    @abstractmethod
    def importances(self, judged: Judged) -> dict[str, float]:
        """How much each feature matters to the validated procedure, greatest first."""

    @abstractmethod
    def contributions(self, model: Any, frame: pd.DataFrame) -> NDArray[np.float64]:
        """How much each feature moves each row's answer, (rows, features), in `unit`."""

    @abstractmethod
    def question(self) -> str:
        """What the card says it answers, and what it is not for."""

    @abstractmethod
    def sections(self, judged: Judged, measures: Mapping[str, float]) -> list[str]:
        """The card's sections about how good the answers are (Markdown)."""

    def cautions(self, judged: Judged) -> list[str]:  # noqa: ARG002
        """Sentences about a version that does not keep what its card promises."""
        return []

    def pictures(self, judged: Judged) -> dict[str, bytes]:  # noqa: ARG002
        """PNG files beside the card."""
        return {}

    def facts(self, judged: Judged) -> dict[str, Any]:  # noqa: ARG002
        """Tables that a machine reads beside the card."""
        return {}

    def counts(self, rows: Rows) -> str:  # noqa: ARG002
        """What the card says of the labels, such as how many are positive."""
        return ""

    def bounded(self, on: Engine, rows: Frame, population: int) -> Frame:  # noqa: ARG002
        """A run's prediction rows, once all of them are known, without what is `carried`;
        `population`: how many might be.
        """
        return rows

    def factor_values(self, model: Any) -> Mapping[str, Sequence[Any]]:  # noqa: ARG002
        """More of each feature for the factors of a row: name of the JSON field -> one value per
        feature of the model.
        """
        return {}
