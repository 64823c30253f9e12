"""Which features the predicted effect differs by: SHAP values of a model of effects, by raw feature.

Learners of effects are of many kinds, so their values are taken by permutations of the columns, which asks
nothing of a model but its predictions; they add up to the effect that is served.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from e2i_assets.modeling.preprocessing.preprocessor import sources_of

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

ROWS, BACKGROUND = 50, 20
"""Rows that are explained, and others whose values a column takes where it is not known."""


def effect_importance(
    preprocessor: ColumnTransformer, effect: Callable[[np.ndarray], np.ndarray], X: pd.DataFrame, *, seed: int
) -> dict[str, float]:
    """Mean |SHAP value| of each raw feature in units of the effect, the largest first.

    Args:
        effect: of preprocessed rows, shape (rows,).
        X: raw rows, of which a sample is explained.
        seed: of the sample and of the permutations.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of matplotlib, by shap's own colours
        import shap

    order = np.random.default_rng(seed).permutation(len(X))
    matrix = np.asarray(preprocessor.transform(X.iloc[order[: ROWS + BACKGROUND]]), dtype=float)
    explained, background = matrix[:ROWS], matrix[-BACKGROUND:]
    explainer = shap.PermutationExplainer(effect, shap.maskers.Independent(background), seed=seed)
    values = explainer(explained, max_evals=2 * matrix.shape[1] + 1, silent=True).values
    sources = np.array(sources_of(preprocessor))
    return largest_first(
        {
            str(name): float(np.abs(values[:, sources == name].sum(axis=1)).mean())
            for name in preprocessor.feature_names_in_
        }
    )


def largest_first(importance: Mapping[str, float]) -> dict[str, float]:
    """Features in the order of their importance, and of their names where it is the same."""
    return dict(sorted(importance.items(), key=lambda feature: (-feature[1], feature[0])))
