"""Rows of a rare class counted for more, where that ranks patients better than counting all alike.

Weighted probabilities are none, so a weighted model is served calibrated or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.selection.algorithms import Algorithm
from e2i_assets.modeling.training.fitting import Matrices, fit_plain
from e2i_assets.modeling.training.recalibration import FEWEST, SIGMOID

RARE = 0.2
"""Share of train below which a class is rare."""


def weighted_where_better(
    estimator: Any,
    algorithm: Algorithm,
    params: Mapping[str, Any],
    problem: Problem,
    data: Matrices,
    *,
    rounds: int | None,
    seed: int,
) -> Any | None:
    """The same model fitted with its classes weighted by their counts, where it is better on validation.

    Better is by the primary metric and by more than the noise of the difference. Boosting keeps the rounds
    that it was stopped at without weights: the loss that stops it knows none.

    Args:
        estimator: fitted without weights.

    Returns:
        None where no class is rare, too few rows of it are there to calibrate on, the estimator knows no
        weights, or they do not help.
    """
    counts = np.bincount(data.y_train)
    fewest = np.bincount(data.y_validation, minlength=len(counts)).min()
    if counts.min() >= RARE * counts.sum() or fewest < FEWEST[SIGMOID]:
        return None
    rounds_kept = {} if rounds is None else {"n_estimators": rounds}
    other = algorithm.build({**params, **rounds_kept}, seed)
    known = other.get_params()
    if "class_weight" in known:
        other.set_params(class_weight="balanced")
    elif "scale_pos_weight" in known and len(counts) == 2:
        other.set_params(scale_pos_weight=float(counts[0] / counts[1]))
    else:
        return None
    fit_plain(other, data)
    predictions = [problem.predict(model, data.X_validation) for model in (estimator, other)]
    compared = problem.compare([data.y_validation], [predictions])
    ahead = compared.means[1] - compared.means[0]
    return other if ahead > compared.noise[0] else None
