"""ROC curves as few points, for records and plots."""

from __future__ import annotations

import numpy as np


def roc_points(y_true: np.ndarray, y_prob: np.ndarray, at_most: int) -> list[list[float]]:
    """False and true positive rates along the ROC curve at not more points than asked, both ends among them.

    Args:
        y_true: 0/1 or boolean, shape (n,).
        y_prob: probability of 1, shape (n,).
    """
    from sklearn.metrics import roc_curve

    rates = np.column_stack(roc_curve(y_true, y_prob)[:2])
    places = np.linspace(0, len(rates) - 1, min(len(rates), at_most)).round().astype(int)
    return rates[places].tolist()
