"""Predicted probabilities made to mean what they say: none, Platt's or isotonic, chosen on validation.

The result is scikit-learn's own `CalibratedClassifierCV` around the fitted estimator, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NONE, SIGMOID, ISOTONIC = "none", "sigmoid", "isotonic"
FEWEST: Mapping[str, int] = {SIGMOID: 50, ISOTONIC: 100}
"""Patients of the rarest class on validation from which a method is tried: a step function takes many."""
FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """How probabilities are calibrated, and what each way cost on rows that it had not seen.

    Attributes:
        brier: method to mean Brier score, cross-validated within validation; the tried methods alone.
        noise: of each method tried, standard error of its difference to the best simpler one, paired by row.
    """

    method: str
    brier: Mapping[str, float]
    noise: Mapping[str, float]


def calibrated(
    estimator: Any,
    X: np.ndarray,
    y: np.ndarray,
    *,
    seed: int,
    needed: bool = False,
    patients: np.ndarray | None = None,
) -> tuple[Any, Calibration]:
    """The estimator with the calibration that is best on validation, or as it is.

    A method is chosen where its Brier score beats that of the simpler ones by more than the noise of their
    difference, and its log loss is no worse: a 0 or 1 that does not come true is no probability.

    Args:
        estimator: fitted classifier whose classes are 0, 1, ….
        X, y: of validation, as the estimator takes them.
        needed: its own probabilities are none, so that one of the methods must be chosen.
        patients: of each row, who is in one fold with all rows; left out, each row is a patient.
    """
    scores = _scores(estimator, X)
    raw = np.asarray(estimator.predict_proba(X), dtype=float)
    people = np.arange(len(y)) if patients is None else patients
    fewest = min(len(np.unique(people[y == place])) for place in range(raw.shape[1]))
    tried = {m: _held_out(scores, y, people, m, seed) for m, least in FEWEST.items() if fewest >= least}
    losses = {m: _losses(y, p) for m, p in {NONE: raw, **tried}.items()}
    method, noise = SIGMOID if needed else NONE, {}
    for m in tried:  # the simpler first
        gain = losses[method][0] - losses[m][0]
        noise[m] = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        if gain.mean() > noise[m] and losses[m][1].mean() <= losses[method][1].mean():
            method = m
    brier = {m: float(of_row.mean()) for m, (of_row, _) in losses.items()}
    choice = Calibration(method, brier, noise)
    return (estimator if method == NONE else _fitted(estimator, X, y, method)), choice


def uncalibrated(estimator: Any) -> Any:
    """The estimator inside of what calibrates it or transforms its target; itself where nothing does."""
    if hasattr(estimator, "calibrated_classifiers_"):
        estimator = estimator.estimator.estimator
    return getattr(estimator, "regressor_", estimator)


def _fitted(estimator: Any, X: np.ndarray, y: np.ndarray, method: str) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    # Its folds only order the predictions: nothing in them is fitted.
    return CalibratedClassifierCV(FrozenEstimator(estimator), method=method, cv=2).fit(X, y)


def _scores(estimator: Any, X: np.ndarray) -> np.ndarray:
    """What scikit-learn calibrates: the decision function, else probabilities; of two classes one column."""
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(X), dtype=float)
    p = np.asarray(estimator.predict_proba(X), dtype=float)
    return p[:, 1] if p.shape[1] == 2 else p


def _held_out(scores: np.ndarray, y: np.ndarray, patients: np.ndarray, method: str, seed: int) -> np.ndarray:
    """Calibrated probabilities of patients that the calibration was not fitted on, shape (rows, classes)."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    classes = int(y.max()) + 1
    probabilities = np.empty((len(y), classes))
    if len(np.unique(patients)) == len(patients):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(scores, y)
    else:
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(scores, y, patients)
    for fit, rest in folds:
        probabilities[rest] = _of_scores(scores[fit], y[fit], scores[rest], method, classes)
    return probabilities


def _of_scores(scores: np.ndarray, y: np.ndarray, new: np.ndarray, method: str, classes: int) -> np.ndarray:
    """Calibrate by these scores, and apply it to new ones, shape (new, classes)."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Stands for the estimator, whose scores are known already."""

        classes_ = np.arange(classes)

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, X: np.ndarray, y: np.ndarray) -> Given:
            return self

        def decision_function(self, X: np.ndarray) -> np.ndarray:
            return X[:, 0] if X.shape[1] == 1 else X

        def predict(self, X: np.ndarray) -> np.ndarray:  # scikit-learn wants one, and does not ask it
            raise NotImplementedError

    columns = scores.reshape(len(scores), -1)
    return np.asarray(_fitted(Given(), columns, y, method).predict_proba(new.reshape(len(new), -1)))


def _losses(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brier score and log loss of each row, of probabilities of shape (rows, classes)."""
    squares = np.square(p - np.eye(p.shape[1])[y]).sum(axis=1)
    of_actual = np.clip(p[np.arange(len(y)), y], np.finfo(float).eps, 1)
    return squares / (2 if p.shape[1] == 2 else 1), -np.log(of_actual)
