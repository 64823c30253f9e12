"""The figures of predicted probabilities of a 0/1 outcome, their 95 % intervals, and the threshold."""

from __future__ import annotations

import numpy as np

from e2i_assets.modeling.metrics.calibration import (
    calibration_error,
    calibration_error_interval,
    calibration_intervals,
    calibration_line,
)
from e2i_assets.modeling.metrics.delong import auc_interval
from e2i_assets.modeling.metrics.intervals import Interval, not_negative, of_mean, of_share


def classification_metrics(y: np.ndarray, p: np.ndarray, *, threshold: float) -> dict[str, float | None]:
    """Metrics of predicted probabilities.

    Args:
        y: 0/1, both present.
        p: probabilities, shape as `y`.
        threshold: chosen elsewhere, never on these rows.

    Returns:
        roc_auc, pr_auc, brier, log_loss, ece, calibration_slope and _intercept; accuracy, precision, recall
        and f1 at 0.5, and the same with suffix `_at_threshold`. None where a figure cannot be computed.
    """
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    slope, intercept = calibration_line(y, p)
    at_threshold = _decisions(y, p >= threshold)
    return {
        "roc_auc": float(roc_auc_score(y, p)),
        "pr_auc": float(average_precision_score(y, p)),
        "brier": float(brier_score_loss(y, p)),
        "log_loss": float(log_loss(y, p, labels=[0, 1])),
        "ece": calibration_error(y, p),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        **_decisions(y, p >= 0.5),
        **{f"{name}_at_threshold": value for name, value in at_threshold.items()},
    }


def classification_intervals(y: np.ndarray, p: np.ndarray, *, threshold: float) -> dict[str, Interval | None]:
    """95 % intervals of `classification_metrics`, each by the method that holds for few rows.

    ROC-AUC: `auc_interval`. PR-AUC: of a share of the positives (Boyd, Eng & Page 2013), by Wilson. Brier and
    log loss: Student's, of the mean of the rows' losses. Accuracy, precision, recall: Wilson's. F1 is a
    function of the share of hits among the rows that are positive or decided so. Calibration: Wald's.
    """
    from sklearn.metrics import average_precision_score

    q = np.clip(p, np.finfo(float).eps, 1 - np.finfo(float).eps)
    auc = auc_interval(y, p)
    slope, intercept = calibration_intervals(y, p)
    at_threshold = _decision_intervals(y, p >= threshold)
    return {
        "roc_auc": Interval(auc.low, auc.high),
        "pr_auc": of_share(float(average_precision_score(y, p)), int(y.sum())),
        "brier": not_negative(of_mean((p - y) ** 2)),
        "log_loss": not_negative(of_mean(-np.log(np.where(y == 1, q, 1 - q)))),
        "ece": calibration_error_interval(y, p),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        **_decision_intervals(y, p >= 0.5),
        **{f"{name}_at_threshold": ends for name, ends in at_threshold.items()},
    }


def _decisions(y: np.ndarray, decided: np.ndarray) -> dict[str, float | None]:
    """Precision and F1 are undefined (None) when nobody is decided positive."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(y, decided, average="binary", zero_division=0)
    any_positive = bool(decided.any())
    return {
        "accuracy": float(accuracy_score(y, decided)),
        "precision": float(precision) if any_positive else None,
        "recall": float(recall),
        "f1": float(f1) if any_positive else None,
    }


def _decision_intervals(y: np.ndarray, decided: np.ndarray) -> dict[str, Interval | None]:
    right, either = int(np.sum(decided & (y == 1))), int(np.sum(decided | (y == 1)))
    positive, chosen = int(y.sum()), int(decided.sum())
    hits = of_share(right / either, either)
    return {
        "accuracy": of_share(float(np.mean(decided == y)), len(y)),
        "precision": of_share(right / chosen, chosen) if chosen else None,
        "recall": of_share(right / positive, positive),
        "f1": Interval(*(2 * share / (1 + share) for share in hits)) if chosen else None,
    }


def youden_threshold(y: np.ndarray, p: np.ndarray) -> float:
    """The probability where sensitivity + specificity is largest (Youden 1950); of equals the highest."""
    from sklearn.metrics import roc_curve

    fpr, tpr, thresholds = roc_curve(y, p)
    best = int(np.argmax((tpr - fpr)[1:])) + 1  # the first point is "nobody", at infinity
    return float(thresholds[best])


def least_cost_threshold(y: np.ndarray, p: np.ndarray, false_positive: float, false_negative: float) -> float:
    """The probability from which on deciding positive costs least, of equals the highest; 1 for nobody.

    Where a row has a probability of 1, nobody is no choice: no threshold leaves it out.

    Args:
        false_positive, false_negative: cost of one, both above 0.
    """
    from sklearn.metrics import roc_curve

    fpr, tpr, thresholds = roc_curve(y, p)
    cost = fpr * np.sum(y == 0) * false_positive + (1 - tpr) * np.sum(y == 1) * false_negative
    first = int(thresholds[1] >= 1)
    return float(min(thresholds[first + int(np.argmin(cost[first:]))], 1.0))


def decision_curve(y: np.ndarray, p: np.ndarray) -> list[dict[str, float]]:
    """Net benefit by threshold probability, from 0.01 to 0.99 (Vickers & Elkin 2006).

    True positives less false positives, these weighted by the odds of the threshold, per row: of deciding by
    the `model`, and for `all`; for nobody it is 0.
    """
    at = np.arange(1, 100) / 100
    odds, events = at / (1 - at), float(np.mean(y))
    hits, alarms = (
        1 - np.searchsorted(np.sort(p[y == outcome]), at, side="left") / max(1, int(np.sum(y == outcome)))
        for outcome in (1, 0)
    )
    by_model = hits * events - alarms * (1 - events) * odds
    for_all = events - (1 - events) * odds
    return [
        {"threshold": float(t), "model": float(m), "all": float(a)}
        for t, m, a in zip(at, by_model, for_all, strict=True)
    ]
