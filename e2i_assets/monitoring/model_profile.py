"""What a registered version was trained on and how it did, for comparison with what comes: no row of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from e2i_assets.monitoring.document import Document
from e2i_assets.monitoring.profile import ReferenceProfile

PREDICTION, CLASS, PROPENSITY = "prediction", "predicted class", "propensity"


@dataclass(frozen=True)
class Baseline:
    """A figure at training, on the test split, with its 95 % interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Assignment:
    """Who was treated at training: a logistic regression on what the version's own preprocessor makes of the
    features.

    Attributes:
        treatment: column, 0 or 1.
        weights: of the preprocessor's columns, in their order.
    """

    treatment: str
    intercept: float
    weights: tuple[float, ...]

    def propensity(self, matrix: np.ndarray) -> np.ndarray:
        """Probability of the treatment of each row of the preprocessor's, shape (rows,)."""
        from scipy.special import expit

        return np.asarray(expit(self.intercept + matrix @ np.array(self.weights)))


@dataclass(frozen=True)
class ModelProfile(Document):
    """One version.

    Attributes:
        problem_type, labels: what it predicts.
        target: outcome column.
        features: of the training split; of an effect also the treatment, and its `propensity` by models that
            had not seen the patient.
        predictions: of the validation split, which the version was not fitted on: `prediction`, of several
            classes `predicted class`; of an effect those of the test split, as it was fitted on validation.
        calibration: of the validation split: rows, mean prediction and share that came true, by bin.
        metric: name of the primary metric; `greater_is_better` says which way.
        figures: metric to what it was on test: those that are measured again, and those that are estimated.
        threshold: from which a row is decided positive; None where nothing is decided.
        assignment: of an effect: who was treated.
    """

    called: ClassVar[str] = "profile of a model"
    model_name: str
    version: int
    fingerprint: str
    problem_type: str
    labels: tuple[str, ...]
    target: str
    features: ReferenceProfile
    predictions: ReferenceProfile
    calibration: tuple[Mapping[str, float], ...]
    metric: str
    greater_is_better: bool
    figures: Mapping[str, Baseline]
    threshold: float | None = None
    assignment: Assignment | None = None


def predictions_frame(prediction: np.ndarray, labels: tuple[str, ...]) -> pd.DataFrame:
    """Predictions as columns that can be compared.

    Args:
        prediction: shape (rows,), or (rows, labels).
    """
    if prediction.ndim == 1:
        return pd.DataFrame({PREDICTION: prediction})
    return pd.DataFrame({CLASS: np.array(labels, dtype=object)[prediction.argmax(axis=1)]})
