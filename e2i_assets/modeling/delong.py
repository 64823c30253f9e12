"""DeLong's covariance of areas under ROC curves, and what follows from it.

DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837-845; computed with mid-ranks as in Sun & Xu (2014),
IEEE Signal Processing Letters 21:1389-1393, eq. 7 to 10.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_Z95 = 1.959963984540054


class AucInterval(NamedTuple):
    """An area under the ROC curve with its 95 % interval (Wald, cut to [0, 1]) and standard error."""

    auc: float
    low: float
    high: float
    standard_error: float


def delong(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs of several scores on the same rows, and their covariance matrix.

    Args:
        y: 0/1, shape (rows,); at least two of each.
        scores: shape (models, rows), any monotone scale, no NaN.

    Returns:
        AUCs, shape (models,), and their covariance, shape (models, models).

    Raises:
        ValueError: fewer than two rows of a class, or a NaN.
    """
    from scipy.stats import rankdata

    y = np.asarray(y).astype(bool)
    scores = np.atleast_2d(np.asarray(scores, dtype=float))
    m, n = int(y.sum()), int((~y).sum())
    if min(m, n) < 2 or np.isnan(scores).any():
        raise ValueError(f"DeLong needs two rows of each class and no NaN: {m} positive, {n} negative")
    positive, negative = scores[:, y], scores[:, ~y]
    together = rankdata(np.hstack([positive, negative]), axis=1)
    of_positive = (together[:, :m] - rankdata(positive, axis=1)) / n
    of_negative = 1 - (together[:, m:] - rankdata(negative, axis=1)) / m
    covariance = np.cov(of_positive) / m + np.cov(of_negative) / n
    return of_positive.mean(axis=1), np.atleast_2d(covariance)


def auc_interval(y: np.ndarray, p: np.ndarray) -> AucInterval:
    """AUC of one score with its 95 % DeLong interval.

    Args:
        y: 0/1, shape (rows,); at least two of each.
        p: scores or probabilities, shape (rows,).
    """
    aucs, covariance = delong(y, p)
    auc, error = float(aucs[0]), float(np.sqrt(covariance[0, 0]))
    return AucInterval(auc, max(0.0, auc - _Z95 * error), min(1.0, auc + _Z95 * error), error)
