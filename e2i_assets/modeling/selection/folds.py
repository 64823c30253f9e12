"""Folds that no patient is on both sides of, and parts of the rows that have all rows of their patients."""

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


def part_of_patients(
    problem: Problem, y: np.ndarray, patients: np.ndarray, share: float, seed: int
) -> np.ndarray:
    """Places of the rows of such a share of the patients, with the strata in about the shares of all.

    With the same seed a smaller part is in every larger one.

    Args:
        y: the target as the problem type has it, shape (rows,); a patient's is that of the first row.
        patients: the patient of each row, shape (rows,).
    """
    _, first, of_row = np.unique(patients, return_index=True, return_inverse=True)
    chosen = _order(problem, y[first], seed)[: round(share * len(first))]
    return np.flatnonzero(np.isin(of_row, chosen))


def _order(problem: Problem, y: np.ndarray, seed: int) -> np.ndarray:
    """Numbers of patients in an order of which any beginning has the strata in about the shares of all.

    Args:
        y: the target of each one's first row.
    """
    shuffled = np.random.default_rng(seed).permutation(len(y))
    strata = problem.strata(y)
    if strata is None:
        return shuffled
    place = np.empty(len(y))
    for stratum in np.unique(strata):
        of_stratum = shuffled[strata[shuffled] == stratum]
        place[of_stratum] = (np.arange(len(of_stratum)) + 0.5) / len(of_stratum)
    return np.argsort(place, kind="stable")
