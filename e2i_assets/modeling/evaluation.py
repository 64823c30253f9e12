"""How good a trained model is on the test split, and whether that is good enough. Aggregates only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.delong import AucInterval, auc_interval
from e2i_assets.modeling.scope import CLASSIFICATION_METRICS, PLAUSIBILITY, Criterion, Scope, SuccessCriteria
from e2i_assets.modeling.training import TrainedModel

Metrics = Mapping[str, float | None]

MAX_ROC_POINTS = 200
ROWS_PER_BIN = 20


class CalibrationBin(NamedTuple):
    """Rows of similar predicted probability: how many, mean prediction, share with the outcome."""

    n: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model.

    Attributes:
        fingerprint: of the model.
        metrics: split (`validation`, `test`) to metrics; see `classification_metrics`.
        auc_ci: test AUC with its 95 % interval, see `auc_interval`.
        validation_auc_ci: the same on validation, where the model was tuned: it flatters.
        threshold: Youden's, chosen on validation.
        confusion: of test at `threshold`: tn, fp, fn, tp.
        roc: (false, true) positive rates on test, at most 200 points.
        calibration: bins of test, equally filled, ordered by prediction.
    """

    fingerprint: str
    algorithm: str
    metrics: Mapping[str, Metrics]
    auc_ci: AucInterval
    validation_auc_ci: AucInterval
    threshold: float
    confusion: Mapping[str, int]
    roc: tuple[tuple[float, float], ...]
    calibration: tuple[CalibrationBin, ...]
    n_test: int
    n_validation: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return dict(vars(self)) | {
            "metrics": {split: dict(values) for split, values in self.metrics.items()},
            "auc_ci": self.auc_ci._asdict(),
            "validation_auc_ci": self.validation_auc_ci._asdict(),
            "confusion": dict(self.confusion),
            "roc": [list(point) for point in self.roc],
            "calibration": [b._asdict() for b in self.calibration],
        }


def evaluate(trained: TrainedModel, test: LabelledSplit, validation: LabelledSplit) -> Evaluation:
    """Score a model once on test; the decision threshold comes from validation."""
    p_validation, p = trained.predict_proba(validation.X), trained.predict_proba(test.X)
    threshold = youden_threshold(validation.y, p_validation)
    decided = p >= threshold
    return Evaluation(
        fingerprint=trained.fingerprint,
        algorithm=trained.algorithm,
        metrics={
            "validation": classification_metrics(validation.y, p_validation, threshold=threshold),
            "test": classification_metrics(test.y, p, threshold=threshold),
        },
        auc_ci=auc_interval(test.y, p),
        validation_auc_ci=auc_interval(validation.y, p_validation),
        threshold=threshold,
        confusion={
            "tn": int(np.sum(~decided & (test.y == 0))),
            "fp": int(np.sum(decided & (test.y == 0))),
            "fn": int(np.sum(~decided & (test.y == 1))),
            "tp": int(np.sum(decided & (test.y == 1))),
        },
        roc=_roc_points(test.y, p),
        calibration=calibration_bins(test.y, p),
        n_test=len(test.y),
        n_validation=len(validation.y),
    )


def classification_metrics(y: np.ndarray, p: np.ndarray, *, threshold: float) -> dict[str, float | None]:
    """Metrics of predicted probabilities.

    Args:
        y: 0/1, both present.
        p: probabilities, shape as `y`.
        threshold: chosen elsewhere, never on these rows.

    Returns:
        roc_auc, pr_auc, brier, log_loss, calibration_slope and _intercept; accuracy, precision, recall and
        f1 at 0.5, and the same with suffix `_at_threshold`. None where a figure cannot be computed.
    """
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    slope, intercept = calibration_line(y, p)
    at_threshold = _decisions(y, p >= threshold)
    return {
        "roc_auc": float(roc_auc_score(y, p)),
        "pr_auc": float(average_precision_score(y, p)),
        "brier": float(brier_score_loss(y, p)),
        "log_loss": float(log_loss(y, p, labels=[0, 1])),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        **_decisions(y, p >= 0.5),
        **{f"{name}_at_threshold": value for name, value in at_threshold.items()},
    }


def _decisions(y: np.ndarray, decided: np.ndarray) -> dict[str, float | None]:
    """Precision and F1 are undefined (None) when nobody is decided positive."""
    right = int(np.sum(decided & (y == 1)))
    positive, chosen = int(np.sum(y)), int(np.sum(decided))
    return {
        "accuracy": float(np.mean(decided == (y == 1))),
        "precision": right / chosen if chosen else None,
        "recall": right / positive,
        "f1": 2 * right / (positive + chosen) if chosen else None,
    }


def youden_threshold(y: np.ndarray, p: np.ndarray) -> float:
    """The probability where sensitivity + specificity is largest (Youden 1950); of equals the highest."""
    from sklearn.metrics import roc_curve

    fpr, tpr, thresholds = roc_curve(y, p)
    best = int(np.argmax((tpr - fpr)[1:])) + 1  # the first point is "nobody", at infinity
    return float(thresholds[best])


def calibration_line(y: np.ndarray, p: np.ndarray) -> tuple[float | None, float | None]:
    """Calibration slope and calibration-in-the-large (Cox 1958; Van Calster et al. 2019).

    The slope is that of a logistic regression of the outcome on the predicted log odds; the intercept is
    that of the same regression with its slope held at 1. Ideal: 1 and 0. None where the predictions are all
    alike or separate the outcomes, so that no slope exists.
    """
    from scipy.optimize import brentq
    from scipy.special import expit, logit
    from sklearn.linear_model import LogisticRegression

    odds = logit(np.clip(p, 1e-6, 1 - 1e-6))
    shift = float(brentq(lambda a: np.sum(expit(odds + a) - y), -40, 40))
    separated = odds[y == 1].min() >= odds[y == 0].max() or odds[y == 1].max() <= odds[y == 0].min()
    if np.ptp(odds) < 1e-9 or separated:
        return None, shift
    line = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(odds[:, None], y)
    return float(line.coef_[0, 0]), shift


def calibration_bins(y: np.ndarray, p: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Up to ten bins of equal size in order of prediction, at least 20 rows each where there are as many."""
    order = np.argsort(p, kind="stable")
    bins = np.array_split(order, int(np.clip(len(p) // ROWS_PER_BIN, 1, 10)))
    return tuple(CalibrationBin(len(b), float(p[b].mean()), float(y[b].mean())) for b in bins)


def _roc_points(y: np.ndarray, p: np.ndarray) -> tuple[tuple[float, float], ...]:
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(y, p)
    kept = np.linspace(0, len(fpr) - 1, min(len(fpr), MAX_ROC_POINTS)).round().astype(int)
    return tuple((float(fpr[i]), float(tpr[i])) for i in kept)


class CriterionResult(NamedTuple):
    """One success criterion and how the model did; `value` is None where there is none, `reason` in words."""

    name: str
    value: float | None
    threshold: float
    ok: bool
    reason: str


def meets(criteria: SuccessCriteria, evaluation: Evaluation) -> tuple[CriterionResult, ...]:
    """Judge a model by its scope's criteria, on test. What is unknown or missing is not met."""
    return tuple(_judge(criterion, evaluation.metrics.get("test", {})) for criterion in criteria)


def plausibility(scope: Scope, evaluation: Evaluation, undeclared: Sequence[str]) -> CriterionResult:
    """Whether the test AUC is one that nobody has to answer for.

    Args:
        undeclared: features of the model that nobody has declared as known on the index date.
    """
    value, limit = evaluation.metrics.get("test", {}).get("roc_auc"), scope.plausible_max_auc
    if value is None:
        return CriterionResult(PLAUSIBILITY, None, limit, False, "auc could not be computed on test")
    said = f"a test AUC of {value:.4f}, more than the {limit:g} that is plausible"
    if value <= limit:
        return CriterionResult(PLAUSIBILITY, value, limit, True, f"test AUC {value:.4f}, at most {limit:g}")
    if undeclared:
        return CriterionResult(
            PLAUSIBILITY,
            value,
            limit,
            False,
            f"{said}; nobody has said when {', '.join(undeclared)} are known",
        )
    return CriterionResult(
        PLAUSIBILITY, value, limit, True, f"{said}; every feature is declared as known before"
    )


def _judge(criterion: Criterion, metrics: Metrics) -> CriterionResult:
    name, bound, metric, threshold = criterion
    if metric not in CLASSIFICATION_METRICS:
        return CriterionResult(name, None, threshold, False, f"there is no metric {metric}")
    value = metrics.get(CLASSIFICATION_METRICS[metric])
    if value is None or not np.isfinite(value):
        return CriterionResult(name, None, threshold, False, f"{metric} could not be computed on test")
    ok = value >= threshold if bound == "min" else value <= threshold
    wanted = "at least" if bound == "min" else "at most"
    return CriterionResult(name, value, threshold, ok, f"{metric} {value:.4f}, {wanted} {threshold:g} wanted")
