"""How predicted probabilities of a 0/1 outcome compare with the shares that came true."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from e2i_assets.modeling.intervals import Z95, Interval

ROWS_PER_BIN = 20


class CalibrationBin(NamedTuple):
    """Rows of similar predicted probability: how many, mean prediction, share with the outcome."""

    n: int
    predicted: float
    observed: float


def calibration_line(y: np.ndarray, p: np.ndarray) -> tuple[float | None, float | None]:
    """Calibration slope and calibration-in-the-large (Cox 1958; Van Calster et al. 2019).

    The slope is that of a logistic regression of the outcome on the predicted log odds; the intercept is
    that of the same regression with its slope held at 1. Ideal: 1 and 0. None where the predictions are all
    alike or separate the outcomes, so that no slope exists.
    """
    line, shift = _calibration(y, p)
    return line[1] if line else None, shift


def _calibration(y: np.ndarray, p: np.ndarray) -> tuple[tuple[float, float] | None, float]:
    """Intercept and slope of the free line, and the intercept of the one whose slope is 1."""
    from scipy.optimize import brentq
    from scipy.special import expit
    from sklearn.linear_model import LogisticRegression

    odds = _log_odds(p)
    shift = float(brentq(lambda a: np.sum(expit(odds + a) - y), -40, 40))
    separated = odds[y == 1].min() >= odds[y == 0].max() or odds[y == 1].max() <= odds[y == 0].min()
    if np.ptp(odds) < 1e-9 or separated:
        return None, shift
    line = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(odds[:, None], y)
    return (float(line.intercept_[0]), float(line.coef_[0, 0])), shift


def calibration_intervals(y: np.ndarray, p: np.ndarray) -> tuple[Interval | None, Interval]:
    """95 % intervals of the slope and of calibration-in-the-large, by the observed information (Wald)."""
    from scipy.special import expit

    odds = _log_odds(p)
    line, shift = _calibration(y, p)

    def weights(log_odds: np.ndarray) -> np.ndarray:
        return np.asarray(expit(log_odds) * (1 - expit(log_odds)))

    reach = Z95 / math.sqrt(float(weights(odds + shift).sum()))
    intercept = Interval(shift - reach, shift + reach)
    if line is None:
        return None, intercept
    design = np.column_stack([np.ones(len(odds)), odds])
    information = design.T * weights(line[0] + line[1] * odds) @ design
    reach = Z95 * math.sqrt(float(np.linalg.inv(information)[1, 1]))
    return Interval(line[1] - reach, line[1] + reach), intercept


def _log_odds(p: np.ndarray) -> np.ndarray:
    from scipy.special import logit

    return np.asarray(logit(np.clip(p, 1e-6, 1 - 1e-6)))


def calibration_bins(y: np.ndarray, p: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Up to ten bins of equal size in order of prediction, at least 20 rows each where there are as many.

    Not scikit-learn's `calibration_curve`: its bins are of equal size only where no predictions are alike, so
    that one of them may be a single patient's, and it does not tell how many rows they hold.
    """
    bins = equal_bins(p)
    return tuple(CalibrationBin(len(b), float(p[b].mean()), float(y[b].mean())) for b in bins)


def equal_bins(prediction: np.ndarray) -> list[np.ndarray]:
    """Row numbers of up to ten bins of equal size in order of prediction, at least 20 rows each."""
    order = np.argsort(prediction, kind="stable")
    return np.array_split(order, int(np.clip(len(prediction) // ROWS_PER_BIN, 1, 10)))
