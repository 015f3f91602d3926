"""How much a version depends on each feature, on rows that it had not seen."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ml.tasks import estimators

if TYPE_CHECKING:
    from ml.tasks.protocol import Judged, Task

ROWS, REPEATS = 2_000, 3


def permuted(task: "Task", judged: "Judged", scorer: Any) -> dict[str, float]:
    """Drop of the metric when a feature is shuffled among validation rows (Breiman 2001), greatest
    first. `scorer`: as scikit-learn takes it, greater is better.
    """
    from sklearn.inspection import permutation_importance

    fitted, truth = judged.fitted, judged.truth
    columns = list(fitted.selection.features)
    chosen = np.random.default_rng(estimators.SEED).permutation(len(truth))[:ROWS]
    if not task.comparable(truth[chosen], judged.rows.entities[judged.split.validation][chosen]):
        chosen = np.arange(len(truth))
    with estimators.one_thread():
        found = permutation_importance(
            fitted.model,
            judged.frame.iloc[chosen][columns],
            truth[chosen],
            scoring=scorer,
            n_repeats=REPEATS,
            random_state=estimators.SEED,
        )
    return ordered(dict(zip(columns, found.importances_mean.tolist(), strict=True)))


def ordered(importances: dict[str, float]) -> dict[str, float]:
    """Greatest first; equal ones by name."""
    return dict(sorted(importances.items(), key=lambda item: (-item[1], item[0])))
