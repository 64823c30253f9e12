"""Categorical features of many levels as statistics of the target; scikit-learn's own classes only.

What a row is fitted on must not hold the row's own target: its statistics come from the other patients'
folds. What is predicted takes the statistics of all of train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from e2i_assets.modeling.errors import TrainingDataError

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

ENCODED = "encoded"
"""Name of the transformer of these features in a preprocessor."""
STATISTICS = "targetencoder"
"""Name of its step that holds the statistics of the target."""
FOLDS = 5
SEED = 0
POOLED_LEVEL = -1
"""Stands for every level that is not kept."""


def target_steps(levels: Sequence[Sequence[str]], *, classes: bool) -> list[Any]:
    """The unfitted steps for features of which these levels are kept, all others together.

    A level's statistic is its mean of the target, or its share of each class; the fewer rows it has, the more
    it is drawn to that of train (empirical Bayes; Micci-Barreca 2001). Standardised, as numeric features are.
    """
    from sklearn.preprocessing import OrdinalEncoder, StandardScaler, TargetEncoder

    return [
        OrdinalEncoder(
            categories=[list(of_feature) for of_feature in levels],
            handle_unknown="use_encoded_value",
            unknown_value=POOLED_LEVEL,
        ),
        TargetEncoder(target_type="auto" if classes else "continuous", cv=FOLDS),
        StandardScaler(),
    ]


def fit_with_target(
    preprocessor: ColumnTransformer, X: pd.DataFrame, y: np.ndarray, patients: np.ndarray
) -> ColumnTransformer:
    """Fit a preprocessor with such features; which row was in which fold is not kept in it."""
    preprocessor.set_params(**{f"{ENCODED}__{STATISTICS}__cv": _folds(y, patients)}).fit(X, y)
    preprocessor.set_params(**{f"{ENCODED}__{STATISTICS}__cv": FOLDS})
    preprocessor.named_transformers_[ENCODED].set_params(**{f"{STATISTICS}__cv": FOLDS})
    return preprocessor


def training_matrix(
    preprocessor: ColumnTransformer, X: pd.DataFrame, y: np.ndarray, patients: np.ndarray | None = None
) -> np.ndarray:
    """The rows that a preprocessor was fitted on, as an estimator is fitted on them, float64.

    Statistics of the target are those of the other folds: with its own in them a level of few rows would tell
    the answer, and the model would trust it.

    Raises:
        TrainingDataError: the preprocessor was fitted on other rows.
    """
    from sklearn.base import clone

    matrix = preprocessor.transform(X)
    columns = next((names for kind, _, names in preprocessor.transformers_ if kind == ENCODED), None)
    if columns is None:
        return matrix
    fitted = preprocessor.named_transformers_[ENCODED]
    patients = np.arange(len(X)) if patients is None else patients
    again = clone(fitted).set_params(**{f"{STATISTICS}__cv": _folds(y, patients)})
    matrix[:, preprocessor.output_indices_[ENCODED]] = again.fit_transform(X[columns], y)
    known, anew = (pipeline.named_steps[STATISTICS].encodings_ for pipeline in (fitted, again))
    if not all(a.shape == b.shape and np.allclose(a, b) for a, b in zip(known, anew, strict=True)):
        raise TrainingDataError(
            "the preprocessor's statistics of the target are of other rows than these",
            "Materialize the preprocessor again.",
        )
    return matrix


def _folds(y: np.ndarray, patients: np.ndarray) -> Any:
    """A patient's rows in one fold, each fold with its share of the target's range."""
    from sklearn.model_selection import PredefinedSplit

    _, first, of_row = np.unique(patients, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(SEED).permutation(len(first))
    fold = np.empty(len(first), dtype=int)
    fold[np.lexsort((shuffled, y[first]))] = np.arange(len(first)) % FOLDS
    return PredefinedSplit(fold[of_row])
