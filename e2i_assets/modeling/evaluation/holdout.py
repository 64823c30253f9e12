"""How a deployed model does on the holdout split, beside what it did on test. Aggregates only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import Any

import numpy as np

from e2i_assets.modeling.problems.base import Problem

NORMAL = 1.96
"""Standard errors to each side of a 95 % interval, and beyond which a difference is no noise."""


@dataclass(frozen=True)
class Measured:
    """A figure with the ends of its 95 % interval; None where it cannot be computed."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def error(self) -> float | None:
        """Its standard error, by the width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2 / NORMAL


@dataclass(frozen=True)
class HoldoutEvaluation:
    """A model on holdout, asked through its endpoint.

    Attributes:
        metric: that is compared; `greater_is_better`, None where it is neither.
        holdout, test: it on both.
        figures: every metric on holdout.
        rows: patients of holdout with a known outcome.
        unavailable: metric to the reason why it could not be computed.
    """

    model_name: str
    version: int
    model_fingerprint: str
    metric: str
    greater_is_better: bool | None
    holdout: Measured
    test: Measured
    figures: Mapping[str, Measured]
    rows: int
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @property
    def worse_by(self) -> float | None:
        """By how much holdout is worse than test; of an effect, how far apart they are."""
        if self.holdout.value is None or self.test.value is None:
            return None
        gap = self.test.value - self.holdout.value
        return abs(gap) if self.greater_is_better is None else gap if self.greater_is_better else -gap

    @property
    def noise(self) -> float | None:
        """By how much two such samples differ by chance, at most nineteen times in twenty."""
        if self.holdout.error is None or self.test.error is None:
            return None
        return NORMAL * hypot(self.holdout.error, self.test.error)


def measured(
    problem: Problem, y: np.ndarray, prediction: np.ndarray, threshold: float | None
) -> dict[str, Measured]:
    """Every metric of predictions, with its interval."""
    metrics = problem.metrics(y, prediction, threshold)
    intervals = problem.intervals(y, prediction, threshold)
    return {name: Measured(value, *(intervals.get(name) or ())) for name, value in metrics.items()}


def predictions(answers: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray:
    """What a service answered, in the shape of a problem type's prediction.

    Args:
        labels: of the problem type; none where it predicts one number.
    """
    if labels:
        rows = [row for answer in answers for row in answer["probabilities"]]
        return np.array([[row[label] for label in labels] for row in rows], dtype=float)
    return np.array([value for answer in answers for value in answer["predictions"]], dtype=float)
