"""Rungs of rows: on a large table most trials are settled on a sample, and only the best are fitted on all.

A sample keeps the shares of the target. A table that is small, or has few rows of its rarer class, has one
rung: all of its rows.
"""

from __future__ import annotations

import numpy as np

from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.training.fitting import MAX_ROUNDS, PATIENCE, Matrices

FACTOR = 4
"""Each rung has so many times the rows of the one below it."""
SMALLEST = 7_500
"""No rung has fewer rows; nor, where it can, fewer to score on."""
SMALLEST_CLASS = 500
"""No rung has fewer rows of the rarest class: their number, not that of all rows, decides the noise."""
FITTED_ON_ALL = 1
"""Trials that come to the last rung, besides the defaults; to each rung before it FACTOR times as many."""


def rungs(data: Matrices, problem: Problem, seed: int) -> list[Matrices]:
    """Samples of train and validation, smallest first; the last is the data itself."""
    rows = len(data.y_train)
    rarest = np.unique(data.y_train, return_counts=True)[1].min() if problem.stratified else rows
    levels = [data]
    while rows >= FACTOR * SMALLEST and rarest >= FACTOR * SMALLEST_CLASS:
        rows, rarest = rows // FACTOR, rarest // FACTOR
        scored = max(len(data.y_validation) * rows // len(data.y_train), SMALLEST)
        train = _sample(data.y_train, rows, problem, seed)
        validation = _sample(data.y_validation, scored, problem, seed)
        levels.append(
            Matrices(
                data.X_train[train],
                data.y_train[train],
                data.X_validation[validation],
                data.y_validation[validation],
            )
        )
    return levels[::-1]


def _sample(y: np.ndarray, size: int, problem: Problem, seed: int) -> np.ndarray | slice:
    if size >= len(y):
        return slice(None)
    from sklearn.model_selection import train_test_split

    chosen, _ = train_test_split(
        np.arange(len(y)), train_size=size, stratify=problem.strata(y), random_state=seed
    )
    return np.sort(chosen)


def promoted(level: int, levels: int) -> int:
    """How many trials come to a rung, besides the defaults."""
    return FITTED_ON_ALL * FACTOR ** (levels - 1 - level)


def work(rows: int, rounds: int | None, *, stopped_early: bool = False) -> int:
    """What a fit took, in rows, times boosting rounds where there are any; the same on every machine.

    Args:
        rounds: that were kept, or after which it was given up.
        stopped_early: whether it went on for the rounds of early stopping's patience.
    """
    if rounds is None:
        return rows
    return rows * (min(rounds + PATIENCE, MAX_ROUNDS) if stopped_early else rounds)
