"""Folds that no patient is on both sides of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from e2i_assets.modeling.problems.base import Problem


def folds_by_patient(
    problem: Problem, y: np.ndarray, patients: np.ndarray, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of the rows to fit on, and of those to score on.

    A patient's rows are alike: fitted on one of them, a model knows the others by heart. Where every row is
    another patient's, these are the folds of the problem type.

    Args:
        y: the target as the problem type has it, shape (rows,).
        patients: the patient of each row, shape (rows,).

    Raises:
        TrainingDataError: patients cannot be divided so that each fold has enough of every class.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    if len(np.unique(patients)) == len(patients):
        yield from problem.folds(y, folds, seed)
        return
    kind = StratifiedGroupKFold if problem.stratified else GroupKFold
    for fit_on, score_on in kind(folds, shuffle=True, random_state=seed).split(y, y, patients):
        problem.require_folds("train, a fold of whole patients", y[score_on], 1)
        yield fit_on, score_on
