"""What a model's predictions lack among other people: an intercept and a slope (logistic recalibration).

Of probabilities the log of each is multiplied by the slope, its class's intercept is added, and they are made
to sum to 1 again; of two classes that is Cox's line on the log odds (1958), of more the multinomial one with
a common slope (Van Hoorde et al. 2014). Of numbers it is a straight line. With the slope held at 1 it is the
recalibration in the large (Steyerberg 2019, chapter 15).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

LEAST = 1e-6
"""A probability that is smaller counts as this."""
INTERCEPTS, SLOPES = (-40.0, 40.0), (-20.0, 20.0)
"""Where the two are looked for: predictions that separate the outcomes have no largest slope."""


@dataclass(frozen=True)
class Correction:
    """What predictions are corrected by.

    Attributes:
        slope: 1 where predictions are spread as outcomes are; less where they are too extreme.
        intercepts: one, or of several classes one for each but the first. 0 where the mean is right already.
    """

    slope: float
    intercepts: tuple[float, ...]


def correction_of_probabilities(y: np.ndarray, p: np.ndarray, *, slope: bool) -> Correction:
    """The correction of the largest likelihood.

    Args:
        y: class numbers, shape (rows,).
        p: probabilities of class 1, shape (rows,), or of every class, (rows, classes).
    """
    from scipy.optimize import minimize

    logs = _logs(p)
    rows, classes = logs.shape
    place, outcomes = np.arange(rows), np.asarray(y, dtype=int)
    one_of = np.eye(classes)[outcomes]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        shares = _shares(logs, float(parameters[-1]), parameters[:-1])
        residuals = shares - one_of
        value = -float(np.log(np.clip(shares[place, outcomes], LEAST**4, None)).mean())
        gradient = np.append(residuals[:, 1:].mean(axis=0), (residuals * logs).sum(axis=1).mean())
        return value, gradient

    start = np.append(np.zeros(classes - 1), 1.0)
    bounds = [INTERCEPTS] * (classes - 1) + [SLOPES if slope else (1.0, 1.0)]
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13}).x
    return Correction(float(best[-1]), tuple(best[:-1].tolist()))


def corrected_probabilities(correction: Correction, p: np.ndarray) -> np.ndarray:
    """Corrected probabilities, in the shape that they were given in."""
    shares = _shares(_logs(p), correction.slope, np.array(correction.intercepts))
    return shares[:, 1] if p.ndim == 1 else shares


def correction_of_numbers(y: np.ndarray, prediction: np.ndarray, *, slope: bool) -> Correction:
    """The line of least squares from predictions to outcomes; predictions that are all alike have none."""
    gap, spread = float(np.mean(y - prediction)), float(np.var(prediction))
    if not slope or not spread > 0:
        return Correction(1.0, (gap,))
    steepness = float(np.mean((prediction - prediction.mean()) * y)) / spread
    return Correction(steepness, (float(np.mean(y) - steepness * np.mean(prediction)),))


def corrected_numbers(correction: Correction, prediction: np.ndarray) -> np.ndarray:
    """Corrected numbers, shape (rows,)."""
    return correction.slope * prediction + correction.intercepts[0]


def out_of_fold(
    fit: Callable[[np.ndarray], Correction],
    apply: Callable[[Correction, np.ndarray], np.ndarray],
    prediction: np.ndarray,
    folds: Iterable[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Predictions of each row by a correction that was fitted without it.

    Args:
        fit: makes a correction of rows, given by their numbers.
        apply: corrects predictions.
        folds: pairs of row numbers, to fit on and to correct.
    """
    corrected = np.empty(prediction.shape, dtype=float)
    for fitted_on, rest in folds:
        corrected[rest] = apply(fit(fitted_on), prediction[rest])
    return corrected


def _logs(p: np.ndarray) -> np.ndarray:
    both = np.column_stack([1 - p, p]) if p.ndim == 1 else p
    return np.asarray(np.log(np.clip(both, LEAST, 1 - LEAST)))


def _shares(logs: np.ndarray, slope: float, intercepts: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    return np.asarray(softmax(slope * logs + np.append(0.0, intercepts), axis=1))
