"""Does it happen or not: models give the probability of a 0/1 outcome and are chosen by ROC-AUC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.config_files import ConfigModel
from e2i_assets.modeling.errors import MORE_OF_THE_RARER, ServedModelError, TrainingDataError
from e2i_assets.modeling.evaluation.classification_plots import (
    calibration_plot,
    decision_plot,
    precision_recall_plot,
    roc_plot,
)
from e2i_assets.modeling.metrics.calibration import calibration_bins, calibration_line
from e2i_assets.modeling.metrics.classification import (
    classification_intervals,
    classification_metrics,
    decision_curve,
    least_cost_threshold,
    youden_threshold,
)
from e2i_assets.modeling.metrics.delong import auc_interval, delong, roc_auc
from e2i_assets.modeling.metrics.intervals import Interval
from e2i_assets.modeling.metrics.roc import roc_points
from e2i_assets.modeling.problems.base import (
    Answer,
    Comparison,
    Evaluation,
    Intervals,
    Metrics,
    Problem,
    log_loss_of,
)  # fmt: skip
from e2i_assets.modeling.scopes.scope import PlausibleLimit, PredictiveScope
from e2i_assets.modeling.selection.algorithms import classifiers
from e2i_assets.modeling.training.fitting import Watched

MAX_ROC_POINTS = 200


class Costs(ConfigModel):
    """What a wrong decision costs, each in the same unit.

    Attributes:
        false_positive: of a patient who is called for nothing.
        false_negative: of a patient who is missed.
    """

    false_positive: float = Field(gt=0)
    false_negative: float = Field(gt=0)


@dataclass(frozen=True)
class Binary(Problem):
    """Classification into 0 and 1; a prediction is the probability of 1.

    Folds and splits are stratified by the outcome. Two models are compared by DeLong's test, paired on the
    same held-out rows. The threshold is chosen on validation: Youden's, or that of the least cost where the
    scope states costs.

    Attributes:
        costs: of wrong decisions. They move the threshold, not the model.
    """

    costs: Costs | None = field(default=None, compare=False)

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
        "ece": "ece",
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "f1": "f1",
        "calibration_slope": "calibration_slope",
    }
    ascending: ClassVar[Mapping[str, bool | None]] = {
        **dict.fromkeys(("roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1"), True),
        **dict.fromkeys(("brier", "log_loss", "ece"), False),
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
        return roc_auc(y, prediction)

    def interval(self, y: np.ndarray, prediction: np.ndarray) -> Interval:
        """Of the AUC; see `auc_interval`."""
        return Interval(*auc_interval(y, prediction)[1:3])

    def correlation(self, y: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
        """DeLong's."""
        if self.fewest(y) < 2:
            return 0.0
        _, covariance = delong(y, np.array([first, second]))
        scale = math.sqrt(covariance[0, 0] * covariance[1, 1])
        return float(np.clip(covariance[0, 1] / scale, -1, 1)) if scale else 0.0

    def fewest(self, y: np.ndarray) -> int:
        """Rows of the rarer outcome."""
        return int(min(y.sum(), len(y) - y.sum()))

    def simple_model(self) -> Any:
        """Logistic regression, at scikit-learn's defaults."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)

    def loss(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """Log loss."""
        return log_loss_of(np.where(y == 1, prediction, 1 - prediction))

    def noise(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """DeLong's; 0 where a class has one row."""
        return math.sqrt(delong(y, prediction)[1][0, 0]) if self.fewest(y) > 1 else 0.0

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
        """Youden's, or that of the least cost."""
        if self.costs is None:
            return youden_threshold(y, prediction)
        return least_cost_threshold(y, prediction, self.costs.false_positive, self.costs.false_negative)

    @property
    def threshold_rule(self) -> str:
        """Youden's, or the costs."""
        if self.costs is None:
            return "Youden: sensitivity + specificity largest on validation"
        return (
            f"least cost on validation, {self.costs.false_positive:g} for each false positive and "
            f"{self.costs.false_negative:g} for each false negative"
        )

    def reasons(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Mapping[str, str]:
        """Of precision and F1, where nobody is decided positive, and of a slope that does not exist."""
        reasons = {}
        if calibration_line(y, prediction)[0] is None:
            reasons["calibration_slope"] = "the predictions are all alike, or separate the outcomes"
        for suffix, limit in (("", 0.5), ("_at_threshold", _given(threshold))):
            if not (prediction >= limit).any():
                nobody = f"no row reaches {limit:.3g}, so nobody is decided positive"
                reasons |= {f"precision{suffix}": nobody, f"f1{suffix}": nobody}
        return reasons

    def metrics(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Metrics:
        """See `classification_metrics`."""
        return classification_metrics(y, prediction, threshold=_given(threshold))

    def intervals(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Intervals:
        """See `classification_intervals`."""
        return classification_intervals(y, prediction, threshold=_given(threshold))

    def curves(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> dict[str, Any]:
        """`roc`: (false, true) positive rates, at most 200 points. `calibration`: bins, equally filled, in
        order of prediction. `confusion`: tn, fp, fn, tp at the threshold. `decision`: see `decision_curve`.
        """
        from sklearn.metrics import confusion_matrix

        cells = confusion_matrix(y, prediction >= _given(threshold), labels=[0, 1])
        return {
            "roc": roc_points(y, prediction, MAX_ROC_POINTS),
            "calibration": [b._asdict() for b in calibration_bins(y, prediction)],
            "confusion": dict(zip(("tn", "fp", "fn", "tp"), cells.ravel().tolist(), strict=True)),
            "decision": decision_curve(y, prediction),
        }

    def plots(self, evaluation: Evaluation) -> dict[str, bytes]:
        """ROC, precision-recall, calibration and decision curve."""
        return {
            "roc.png": roc_plot(evaluation),
            "precision_recall.png": precision_recall_plot(evaluation),
            "calibration.png": calibration_plot(evaluation),
            **({"decision_curve.png": decision_plot(evaluation)} if "decision" in evaluation.curves else {}),
        }

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
        return {f"{target} rate": cells.share(int((values == 1).sum()), int(values.count()))}


class BinaryScope(PredictiveScope):
    """A question with yes or no as its answer.

    Attributes:
        costs: of wrong decisions, which choose the threshold.
        plausible_max_auc: what features may reach together, and a model on test, before those that nobody has
            declared as known on the index date become a question.
    """

    problem_class: ClassVar = Binary
    problem_type: Literal["binary_classification"]
    costs: Costs | None = None
    plausible_max_auc: float = Field(default=0.95, gt=0.5, le=1)

    @property
    def problem(self) -> Binary:
        """With the costs that the file states."""
        return Binary(costs=self.costs)

    @property
    def plausible(self) -> PlausibleLimit:
        """Of the AUC."""
        return PlausibleLimit("max_auc", self.plausible_max_auc)


PROBLEM, SCOPE = Binary, BinaryScope


def _given(threshold: float | None) -> float:
    if threshold is None:
        raise ValueError("a binary classification is decided at a threshold: give one")
    return threshold


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
