"""A model beside a simple one on the same test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from e2i_assets.modeling.metrics.figures import Compared
from e2i_assets.modeling.metrics.intervals import of_difference
from e2i_assets.modeling.preprocessing.target_encoding import training_matrix

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from e2i_assets.modeling.data import LabelledSplit
    from e2i_assets.modeling.problems.base import Problem
    from e2i_assets.modeling.training.model import TrainedModel


def fit_simple(trained: TrainedModel, train: LabelledSplit) -> Pipeline:
    """The problem type's simple model on the same features, prepared alike, as one pipeline.

    The preprocessor is the trained one: it was fitted on train.
    """
    from sklearn.pipeline import Pipeline

    preprocessor = trained.pipeline[0]
    estimator = train.problem.simple_model()
    estimator.fit(training_matrix(preprocessor, train.X, train.y, train.patients), train.y)
    return Pipeline([("preprocessor", preprocessor), ("model", estimator)])


def compared_with(
    name: str, problem: Problem, y: np.ndarray, ours: np.ndarray, other: np.ndarray
) -> Compared:
    """Both predictions on the same rows, by the primary metric."""
    first, second = problem.measure(y, ours), problem.measure(y, other)
    ends, other_ends = problem.interval(y, ours), problem.interval(y, other)
    difference = (
        of_difference(first, ends, second, other_ends, problem.correlation(y, ours, other))
        if ends and other_ends
        else None
    )
    return Compared(name, second, other_ends, first - second, difference)
