"""How predicted probabilities of a 0/1 outcome compare with the shares that came true."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from e2i_assets.modeling.metrics.intervals import Z95, Interval

ROWS_PER_BIN = 20
Z95_ONE_SIDED = 1.6448536269514722


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
    centre, spread = odds.mean(), odds.std()  # else what hardly differs has no weight in the fit
    line = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit((odds[:, None] - centre) / spread, y)
    slope = float(line.coef_[0, 0] / spread)
    return (float(line.intercept_[0]) - slope * float(centre), slope), shift


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
    weight = weights(line[0] + line[1] * odds)
    # Off the weighted mean the intercept has no part in it: no matrix that can hardly be inverted.
    reach = Z95 / math.sqrt(float(weight @ (odds - np.average(odds, weights=weight)) ** 2))
    return Interval(line[1] - reach, line[1] + reach), intercept


def calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Expected calibration error: mean distance of prediction and observed share over `equal_bins`."""
    shares, gaps, _ = _bin_gaps(y, p)
    return float(shares @ gaps)


def calibration_error_interval(y: np.ndarray, p: np.ndarray) -> Interval:
    """95 % interval of the calibration error, for these bins.

    Few rows lie off the diagonal by chance alone, so the error found is too large on average, by at most the
    mean distance of each bin's share from its expectation (triangle inequality): a sum of half-normal
    distances, whose upper 95 % is the reach to both sides.
    """
    shares, gaps, variances = _bin_gaps(y, p)
    mean = shares @ np.sqrt(2 * variances / math.pi)
    spread = math.sqrt(shares**2 @ (variances * (1 - 2 / math.pi)))
    reach, error = float(mean + Z95_ONE_SIDED * spread), float(shares @ gaps)
    return Interval(max(0.0, error - reach), min(1.0, error + reach))


def _bin_gaps(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin: share of the rows, distance of prediction and outcome, variance of the observed share.

    The variance is what the predictions imply or what the outcomes do, whichever is larger.
    """
    bins, y = equal_bins(p), _of_the_alike(y, p)
    rows = np.array([len(b) for b in bins])
    gaps = np.array([abs(float(np.mean(p[b] - y[b]))) for b in bins])
    smooth = np.array([(y[b].sum() + 1) / (len(b) + 2) for b in bins])  # never quite 0 or 1
    implied = np.array([float(np.mean(p[b] * (1 - p[b]))) for b in bins])
    return rows / len(y), gaps, np.maximum(smooth * (1 - smooth), implied) / rows


def _of_the_alike(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The share with the outcome among all rows of a row's prediction.

    Which of the alike come to which bin is the order of the rows, and must not count.
    """
    _, kind = np.unique(p, return_inverse=True)
    return np.asarray((np.bincount(kind, y) / np.bincount(kind))[kind])


def _log_odds(p: np.ndarray) -> np.ndarray:
    from scipy.special import logit

    return np.asarray(logit(np.clip(p, 1e-6, 1 - 1e-6)))


def calibration_bins(y: np.ndarray, p: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Up to ten bins of equal size in order of prediction, at least 20 rows each where there are as many.

    Not scikit-learn's `calibration_curve`: its bins are of equal size only where no predictions are alike,
    and it does not tell how many rows they hold. Of 1,000 rows with ten different predictions it makes one
    point of three patients (uniform) or four points (quantile), and of nearly equal ones a point of three in
    either way (`benchmarks/calibration.py`).
    """
    bins, y = equal_bins(p), _of_the_alike(y, p)
    return tuple(CalibrationBin(len(b), float(p[b].mean()), float(y[b].mean())) for b in bins)


def equal_bins(prediction: np.ndarray) -> list[np.ndarray]:
    """Row numbers of up to ten bins of equal size in order of prediction, at least 20 rows each."""
    order = np.argsort(prediction, kind="stable")
    return np.array_split(order, int(np.clip(len(prediction) // ROWS_PER_BIN, 1, 10)))
