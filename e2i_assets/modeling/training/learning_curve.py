"""How the score on validation grows with the rows of train: whether more patients would help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.selection.algorithms import Algorithm
from e2i_assets.modeling.selection.folds import part_of_patients
from e2i_assets.modeling.training.fitting import Matrices

SHARES = (0.25, 0.5, 0.75)
"""Of the rows of train, that the model is fitted on once more; all of them are the model itself."""
FEWEST_ROWS = 100
"""Rows of train below which a quarter says nothing."""
MOST_CELLS = 5_000_000
"""Rows times outputs of the preprocessor above which the fits would cost too much."""


@dataclass(frozen=True)
class LearningCurve:
    """Rows of train and the primary metric on validation, smallest first; or why there is none."""

    points: tuple[Mapping[str, float], ...] = ()
    unavailable: str = ""


def learning_curve(
    algorithm: Algorithm,
    params: Mapping[str, Any],
    problem: Problem,
    data: Matrices,
    whole: float,
    *,
    seed: int,
    patients: np.ndarray | None = None,
) -> LearningCurve:
    """Fit the same algorithm with the same parameters on parts of train, drawn once and each in the next.

    A part has all rows of its patients.

    The preprocessor is that of all of train: the fits are of the estimator alone.

    Args:
        whole: primary metric on validation of the model that was fitted on all of train.
        patients: of each row of train; left out, each row is a patient.
    """
    rows, outputs = data.X_train.shape
    if rows < FEWEST_ROWS:
        return LearningCurve(unavailable=f"fewer than {FEWEST_ROWS} rows of train")
    if rows * outputs > MOST_CELLS:
        return LearningCurve(
            unavailable=f"train has more values than are cheap to fit again ({MOST_CELLS:,})"
        )
    people = np.arange(rows) if patients is None else patients
    points = []
    for share in SHARES:
        part = part_of_patients(problem, data.y_train, people, share, seed)
        fitted_on = Matrices(data.X_train[part], data.y_train[part], data.X_validation, data.y_validation)
        try:
            problem.require_folds("train", fitted_on.y_train, 1)
        except TrainingDataError:  # its text counts the few
            return LearningCurve(
                unavailable=f"{share:.0%} of train has too few rows, in all or of an outcome"
            )
        estimator = algorithm.build(params, seed)
        algorithm.fit(estimator, fitted_on)
        prediction = problem.predict(estimator, data.X_validation)
        points.append({"rows": len(part), "score": problem.measure(data.y_validation, prediction)})
    return LearningCurve((*points, {"rows": rows, "score": whole}))
