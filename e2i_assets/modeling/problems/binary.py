"""Does it happen or not: models give the probability of a 0/1 outcome and are chosen by ROC-AUC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.modeling import drawing
from e2i_assets.modeling.algorithms import classifiers
from e2i_assets.modeling.calibration import calibration_bins, calibration_intervals, calibration_line
from e2i_assets.modeling.delong import auc_interval, delong
from e2i_assets.modeling.errors import MORE_OF_THE_RARER, ServedModelError, TrainingDataError
from e2i_assets.modeling.fitting import Watched
from e2i_assets.modeling.intervals import Interval, not_negative, of_mean, of_share
from e2i_assets.modeling.problems.base import Answer, Comparison, Evaluation, Intervals, Metrics, Problem
from e2i_assets.modeling.roc import roc_points
from e2i_assets.modeling.scope import PlausibleLimit, Scope

MAX_ROC_POINTS = 200


@dataclass(frozen=True)
class Binary(Problem):
    """Classification into 0 and 1; a prediction is the probability of 1.

    Folds and splits are stratified by the outcome. Two models are compared by DeLong's test, paired on the
    same held-out rows. The threshold is Youden's, chosen on validation.
    """

    problem_type = "binary_classification"
    primary_metric = "roc_auc"
    stratified = True
    plausible_metric = "roc_auc"
    criteria: ClassVar[Mapping[str, str]] = {
        "auc": "roc_auc",
        "roc_auc": "roc_auc",
        "pr_auc": "pr_auc",
        "brier": "brier",
        "log_loss": "log_loss",
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "f1": "f1",
        "calibration_slope": "calibration_slope",
    }
    ascending: ClassVar[Mapping[str, bool | None]] = {
        **dict.fromkeys(("roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1"), True),
        **dict.fromkeys(("brier", "log_loss"), False),
        "calibration_slope": None,
    }
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "log_loss": (0, math.inf),
        "calibration_slope": (-math.inf, math.inf),
    }
    algorithms = classifiers(Watched("logloss", "auc"), Watched("binary_logloss", "auc"))

    def target(self, name: str, values: pd.Series) -> np.ndarray:
        """0/1 as int8, both of them there."""
        numbers = pd.to_numeric(values, errors="coerce")
        bad = int((~numbers.isin([0, 1])).sum())
        if bad:
            raise TrainingDataError(f"{name}: the target of {bad} of {len(numbers)} rows is neither 0 nor 1")
        positive = int(numbers.sum())
        if positive in (0, len(numbers)):
            raise TrainingDataError(
                f"{name}: {positive} of {len(numbers)} rows are positive; a classifier needs both outcomes",
                MORE_OF_THE_RARER,
            )
        return numbers.to_numpy(dtype=np.int8)

    def require_folds(self, name: str, y: np.ndarray, folds: int) -> None:
        """Two rows of each outcome in every fold: DeLong's test needs as many."""
        fewest = int(min(y.sum(), (1 - y).sum()))
        if fewest < 2 * folds:
            raise TrainingDataError(
                f"{name}: {fewest} rows of the rarer outcome, {2 * folds} are needed to compare algorithms",
                MORE_OF_THE_RARER,
            )

    def folds(self, y: np.ndarray, folds: int, seed: int) -> Any:
        """Stratified by the outcome."""
        from sklearn.model_selection import StratifiedKFold

        return StratifiedKFold(folds, shuffle=True, random_state=seed).split(y, y)

    def strata(self, y: np.ndarray) -> np.ndarray:
        """The outcome."""
        return y

    def predict(self, estimator: Any, X: Any) -> np.ndarray:
        """Probability of the outcome, shape (rows,)."""
        return np.asarray(estimator.predict_proba(X)[:, 1], dtype=float)

    def measure(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """ROC-AUC."""
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(y, prediction))

    def compare(
        self, targets: Sequence[np.ndarray], predictions: Sequence[Sequence[np.ndarray]]
    ) -> Comparison:
        """Mean AUC; its noise is DeLong's standard error, averaged over the folds.

        It is paired on the same held-out rows: three fold scores alone would say too little.
        """
        folds = [delong(y, np.array(scores)) for y, scores in zip(targets, predictions, strict=True)]
        aucs, covariances = (np.array(part) for part in zip(*folds, strict=True))
        means, covariance = aucs.mean(axis=0), covariances.sum(axis=0) / len(folds) ** 2
        best = int(np.argmax(means))
        variances = np.diag(covariance) + covariance[best, best] - 2 * covariance[best]
        return Comparison(means, aucs.std(axis=0), np.sqrt(np.clip(variances, 0, None)))

    def baseline(self, y: np.ndarray) -> tuple[float, ...]:
        """The outcome's share."""
        from sklearn.dummy import DummyClassifier

        nothing = np.zeros((len(y), 1))
        return tuple(self.predict(DummyClassifier(strategy="prior").fit(nothing, y), nothing[:1]).tolist())

    def training_metrics(self, y: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        """ROC-AUC and log loss."""
        from sklearn.metrics import log_loss

        return {"roc_auc": self.measure(y, prediction), "log_loss": float(log_loss(y, prediction))}

    def threshold(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """Youden's."""
        return youden_threshold(y, prediction)

    def metrics(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Metrics:
        """See `classification_metrics`."""
        return classification_metrics(y, prediction, threshold=_given(threshold))

    def intervals(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Intervals:
        """See `classification_intervals`."""
        return classification_intervals(y, prediction, threshold=_given(threshold))

    def curves(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> dict[str, Any]:
        """`roc`: (false, true) positive rates, at most 200 points. `calibration`: bins, equally filled, in
        order of prediction. `confusion`: tn, fp, fn, tp at the threshold.
        """
        from sklearn.metrics import confusion_matrix

        cells = confusion_matrix(y, prediction >= _given(threshold), labels=[0, 1])
        return {
            "roc": roc_points(y, prediction, MAX_ROC_POINTS),
            "calibration": [b._asdict() for b in calibration_bins(y, prediction)],
            "confusion": dict(zip(("tn", "fp", "fn", "tp"), cells.ravel().tolist(), strict=True)),
        }

    def plots(self, evaluation: Evaluation) -> dict[str, bytes]:
        """ROC and calibration."""
        return {"roc.png": roc_plot(evaluation), "calibration.png": calibration_plot(evaluation)}

    def answer(self, classes: Sequence[Any], target: str, threshold: float | None) -> Answer:
        """The probability of the positive class, and the probabilities [negative, positive].

        Args:
            target: one of the pipeline's classes, or a name for the class 1 of {0, 1}.
            threshold: probability from which a row counts as positive; stated, not applied.
        """
        positive = _positive_index(list(classes), target)
        threshold = _given(threshold)
        if not 0 <= threshold <= 1:
            raise ServedModelError("the threshold must lie between 0 and 1")
        return Answer(
            service="classification-service",
            port=3001,
            method="predict_proba",
            gives="probability",
            columns=(1 - positive, positive),
            labels=tuple(str(classes[i]) for i in (1 - positive, positive)),
            facts={"positive_class": target, "threshold": threshold},
        )

    def shares(self, target: str, values: pd.Series, cells: Cells) -> dict[str, Any]:
        """The share with the outcome, of those whose outcome is known."""
        return {f"{target} rate": cells.share(int(values.sum()), int(values.count()))}


class BinaryScope(Scope):
    """`plausible_max_auc` is what features may reach together, and a model on test, before those that nobody
    has declared as known on the index date become a question.
    """

    problem_class: ClassVar = Binary
    problem_type: Literal["binary_classification"]
    plausible_max_auc: float = Field(default=0.95, gt=0.5, le=1)

    @property
    def plausible(self) -> PlausibleLimit:
        """Of the AUC."""
        return PlausibleLimit("max_auc", self.plausible_max_auc)


PROBLEM, SCOPE = Binary, BinaryScope


def _given(threshold: float | None) -> float:
    if threshold is None:
        raise ValueError("a binary classification is decided at a threshold: give one")
    return threshold


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
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        **_decision_intervals(y, p >= 0.5),
        **{f"{name}_at_threshold": ends for name, ends in at_threshold.items()},
    }


def _decisions(y: np.ndarray, decided: np.ndarray) -> dict[str, float | None]:
    """Precision and F1 are undefined (None) when nobody is decided positive."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(y, decided, average="binary", zero_division=0)
    there = bool(decided.any())
    return {
        "accuracy": float(accuracy_score(y, decided)),
        "precision": float(precision) if there else None,
        "recall": float(recall),
        "f1": float(f1) if there else None,
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


def roc_plot(evaluation: Evaluation) -> bytes:
    """ROC curve on test, with the AUC and its 95 % interval."""
    figure, axes = drawing.canvas()
    auc, ends = evaluation.primary("test"), evaluation.interval("test")
    axes.plot([0, 1], [0, 1], color=drawing.SOFT, linestyle="--", linewidth=1)
    axes.plot(*zip(*evaluation.curves["roc"], strict=True), color=drawing.LINE, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.set(xlabel="False positive rate", ylabel="True positive rate")
    if auc is not None and ends is not None:
        axes.set_title(f"{evaluation.algorithm}: AUC {auc:.3f} (95 % {ends.low:.3f} to {ends.high:.3f})")
    axes.text(0.98, 0.04, f"{evaluation.n_test} test rows", ha="right", color=drawing.INK, fontsize=9)
    return drawing.png(figure)


def calibration_plot(evaluation: Evaluation) -> bytes:
    """Predicted against observed share on test, in bins of equal size."""
    figure, axes = drawing.canvas()
    predicted = [b["predicted"] for b in evaluation.curves["calibration"]]
    observed = [b["observed"] for b in evaluation.curves["calibration"]]
    slope = evaluation.metrics["test"]["calibration_slope"]
    axes.plot([0, 1], [0, 1], color=drawing.SOFT, linestyle="--", linewidth=1)
    axes.plot(predicted, observed, color=drawing.LINE, linewidth=2, marker="o", markersize=5)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel="Predicted probability", ylabel="Observed share")
    axes.set_title(
        f"{evaluation.algorithm}: Brier {evaluation.metrics['test']['brier']:.3f}"
        + (f", slope {slope:.2f}" if slope is not None else "")
    )
    return drawing.png(figure)


def _positive_index(classes: list[Any], positive_class: str) -> int:
    """Column of the positive class in what `predict_proba` gives."""
    if len(classes) != 2:
        raise ServedModelError(f"a classification bundle needs two classes, the pipeline has {len(classes)}")
    names = [str(label) for label in classes]
    if positive_class in names:
        return names.index(positive_class)
    if classes == [0, 1]:
        return 0 if positive_class == "0" else 1
    raise ServedModelError(
        "the positive class is neither of the pipeline's classes, and these are not 0 and 1"
    )
