"""What negative controls say of all estimates made in the same way: their systematic error, and p-values with
it.

Schuemie et al. 2014 and 2018 ("empirical calibration", OHDSI): the estimates where there is no effect are
taken as drawn from a normal distribution of errors, beside their own standard errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_CONTROLS = 5
"""Of fewer no distribution can be told."""


@dataclass(frozen=True)
class Calibration:
    """In standard deviations of the outcome.

    Attributes:
        mean, deviation: of the systematic error.
        controls: negative controls that it was fitted on.
        p: of the estimate, were there no effect but this error.
    """

    mean: float
    deviation: float
    controls: int
    p: float


def calibrate(estimate: float, error: float, controls: Sequence[tuple[float, float]]) -> Calibration | None:
    """Fit the systematic error on the controls' (estimate, standard error), and say what is left of an
    estimate.

    None where there are too few controls to tell.
    """
    from scipy.stats import norm

    if len(controls) < LEAST_CONTROLS:
        return None
    mean, deviation = systematic_error(np.array([c[0] for c in controls]), np.array([c[1] for c in controls]))
    p = 2 * norm.sf(abs(estimate - mean) / np.hypot(deviation, error))
    return Calibration(mean=mean, deviation=deviation, controls=len(controls), p=float(p))


def systematic_error(estimates: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Mean and deviation, both most likely, of a normal distribution seen through errors of known size."""
    from scipy.optimize import minimize_scalar

    def mean_of(variance: float) -> float:
        return float(np.average(estimates, weights=1 / (variance + errors**2)))

    def unlikely(deviation: float) -> float:
        total = deviation**2 + errors**2
        return float((np.log(total) + (estimates - mean_of(deviation**2)) ** 2 / total).sum())

    most = float(np.abs(estimates).max() + errors.max())
    deviation = float(minimize_scalar(unlikely, bounds=(0, 2 * most), method="bounded").x)
    if unlikely(0.0) <= unlikely(deviation):
        deviation = 0.0
    return mean_of(deviation**2), deviation
