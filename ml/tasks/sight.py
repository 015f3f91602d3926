"""What a model can tell apart: of trees, on which side of their split points a value lies.

Two values between the same neighbouring split points take every branch alike. So they have the same
answer, and the same path-dependent SHAP values (Lundberg et al., Nature Machine Intelligence 2, 2020),
to the last bit.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ml.features.model_input import Sight
from ml.tasks import estimators


def of(model: Any) -> Sight:
    """The split points of each feature of a fitted pipeline (calibrated or not) of gradient boosted trees;
    empty for any other model, and for one whose branches do not all compare with a number.
    """
    inner = estimators.fitted(model)
    estimator = inner["estimator"]
    predictors = getattr(estimator, "_predictors", None)
    alone = len(getattr(model, "calibrated_classifiers_", [inner])) == 1
    if predictors is None or not alone or estimator._preprocessor is not None:
        return {}
    nodes = np.concatenate([tree.nodes for stage in predictors for tree in stage])
    branches = nodes[nodes["is_leaf"] == 0]
    if branches["is_categorical"].any():
        return {}
    return {
        name: {
            "splits": np.unique(
                branches["num_threshold"][branches["feature_idx"] == position]
            ).tolist(),
            **({} if categories is None else {"categories": categories}),
        }
        for position, (name, categories) in enumerate(_inputs(inner["columns"]))
    }


def _inputs(columns: Any) -> Iterator[tuple[str, list[str] | None]]:
    """What the trees read, in its order: feature, and the categories whose positions they read."""
    for _, transformer, names in columns.transformers_:
        encoder = getattr(transformer, "named_steps", {}).get("ordinalencoder")
        held = [None] * len(names) if encoder is None else encoder.categories_
        for name, categories in zip(names, held, strict=True):
            yield name, None if categories is None else [c for c in categories if c is not None]
