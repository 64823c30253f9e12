"""Which of several classes: models give a probability for each and are chosen by the weighted F1."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from e2i_assets import drawing
from e2i_assets.cohorts.small_cells import MINIMUM_CELL_COUNT, Cells
from e2i_assets.contracts.spelling import as_label
from e2i_assets.modeling.errors import ServedModelError, TrainingDataError
from e2i_assets.modeling.metrics.calibration import calibration_error, calibration_error_interval
from e2i_assets.modeling.metrics.confusions import SEED, bootstrapped_f1, f1_scores, resampled
from e2i_assets.modeling.metrics.delong import auc_interval
from e2i_assets.modeling.metrics.intervals import Interval, not_negative, of_mean, of_share
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

MAX_ROC_POINTS = 100
MORE_OF_EACH = "Load more patients, or join rare classes to others: more must be of the rarest."


@dataclass(frozen=True)
class Multiclass(Problem):
    """Classification into the classes that the scope names; a prediction has a probability for each.

    The target is the number of its class, in the scope's order. The most probable class is the decision, so
    there is no threshold. Folds and splits are stratified by class. Two models are compared by the bootstrap
    of the difference of their weighted F1, paired on the same held-out rows.
    """

    problem_type = "multiclass_classification"
    primary_metric = "f1_weighted"
    stratified = True
    of_numbers = False
    plausible_metric = "roc_auc_highest"
    criteria: ClassVar[Mapping[str, str]] = {
        "f1": "f1_weighted",
        "f1_weighted": "f1_weighted",
        "f1_macro": "f1_macro",
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced_accuracy",
        "auc": "roc_auc_ovr",
        "roc_auc_ovr": "roc_auc_ovr",
        "log_loss": "log_loss",
        "brier": "brier",
        "ece": "ece",
    }
    ascending: ClassVar[Mapping[str, bool | None]] = {
        **dict.fromkeys(("f1_weighted", "f1_macro", "accuracy", "balanced_accuracy", "roc_auc_ovr"), True),
        **dict.fromkeys(("log_loss", "brier", "ece"), False),
    }
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"log_loss": (0, math.inf), "brier": (0, 2)}
    algorithms = classifiers(
        Watched("mlogloss", "mlogloss", -1), Watched("multi_logloss", "multi_logloss", -1)
    )

    def target(self, name: str, values: pd.Series) -> np.ndarray:
        """Number of the class as int64, every class among them."""
        places = {label: place for place, label in enumerate(as_label(pd.Series(self.labels)))}
        codes = as_label(values).map(places)
        if bad := int(codes.isna().sum()):
            raise TrainingDataError(
                f"{name}: the target of {bad} of {len(codes)} rows is none of {', '.join(self.labels)}",
                "State every class under `classes` in the scope.",
            )
        y = codes.to_numpy(dtype=np.int64)
        if absent := [label for place, label in enumerate(self.labels) if not (y == place).any()]:
            raise TrainingDataError(f"{name}: none of {len(y)} rows is {' or '.join(absent)}", MORE_OF_EACH)
        return y

    def require_folds(self, name: str, y: np.ndarray, folds: int) -> None:
        """Two rows of each class in every fold."""
        counts = np.bincount(y, minlength=len(self.labels))
        rarest = int(counts.argmin())
        if counts[rarest] < 2 * folds:
            raise TrainingDataError(
                f"{name}: {counts[rarest]} rows are {self.labels[rarest]}, {2 * folds} are needed to compare "
                "algorithms",
                MORE_OF_EACH,
            )

    def folds(self, y: np.ndarray, folds: int, seed: int) -> Any:
        """Stratified by class."""
        from sklearn.model_selection import StratifiedKFold

        return StratifiedKFold(folds, shuffle=True, random_state=seed).split(y, y)

    def strata(self, y: np.ndarray) -> np.ndarray:
        """The class."""
        return y

    def predict(self, estimator: Any, X: Any) -> np.ndarray:
        """Probability of each class, shape (rows, classes)."""
        return np.asarray(estimator.predict_proba(X), dtype=float)

    def measure(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """F1 of each class, weighted by its rows."""
        from sklearn.metrics import f1_score

        return float(f1_score(y, prediction.argmax(axis=1), average="weighted", zero_division=0))

    def interval(self, y: np.ndarray, prediction: np.ndarray) -> Interval:
        """Of the weighted F1; see `intervals`."""
        decided, classes = prediction.argmax(axis=1), prediction.shape[1]
        weighted, _ = np.quantile(f1_scores(resampled(y, decided, classes)), [0.025, 0.975], axis=1).T
        return _wider(weighted, of_share(self.measure(y, prediction), len(y)))

    def correlation(self, y: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
        """The bootstrap's."""
        scores = bootstrapped_f1(y, [first, second], np.random.default_rng(SEED))
        return float(np.corrcoef(scores)[0, 1]) if (scores.std(axis=1) > 0).all() else 0.0

    def errors(self, y: np.ndarray, prediction: np.ndarray) -> None:
        """None: a class is no number."""

    def simple_model(self) -> Any:
        """Logistic regression, at scikit-learn's defaults."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)

    def loss(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """Log loss."""
        return log_loss_of(prediction[np.arange(len(y)), y])

    def noise(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """That of a share of the rows."""
        score = self.measure(y, prediction)
        return math.sqrt(score * (1 - score) / len(y))

    def compare(
        self, targets: Sequence[np.ndarray], predictions: Sequence[Sequence[np.ndarray]]
    ) -> Comparison:
        """Mean weighted F1; its noise is the bootstrap's standard error, averaged over the folds."""
        scores = np.array(
            [
                [self.measure(y, p) for p in probabilities]
                for y, probabilities in zip(targets, predictions, strict=True)
            ]
        )
        means = scores.mean(axis=0)
        best = int(np.argmax(means))
        rng, variances = np.random.default_rng(SEED), []
        for y, predicted in zip(targets, predictions, strict=True):
            drawn = bootstrapped_f1(y, predicted, rng)
            variances.append((drawn - drawn[best]).var(axis=1, ddof=1))
        return Comparison(means, scores.std(axis=0), np.sqrt(np.sum(variances, axis=0)) / len(targets))

    def baseline(self, y: np.ndarray) -> tuple[float, ...]:
        """The classes' shares."""
        from sklearn.dummy import DummyClassifier

        nothing = np.zeros((len(y), 1))
        return tuple(self.predict(DummyClassifier(strategy="prior").fit(nothing, y), nothing[:1])[0].tolist())

    def training_metrics(self, y: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        """Weighted F1 and log loss."""
        from sklearn.metrics import log_loss

        # In single precision, as XGBoost gives them, they do not quite add up to one.
        shares = prediction / prediction.sum(axis=1, keepdims=True)
        return {
            "f1_weighted": self.measure(y, prediction),
            "log_loss": float(log_loss(y, shares, labels=np.arange(shares.shape[1]))),
        }

    def metrics(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Metrics:
        """F1 weighted and macro, accuracy, precision and recall as the mean of the classes (the latter is the
        balanced accuracy), log loss, Brier (0 to 2), calibration error of the most probable class, the mean
        PR-AUC and ROC-AUC of one class against the rest, and the highest ROC-AUC.
        """
        from sklearn.metrics import (
            accuracy_score,
            average_precision_score,
            balanced_accuracy_score,
            f1_score,
            precision_score,
        )

        decided = prediction.argmax(axis=1)
        aucs = [one.auc for one in _aucs(y, prediction)]
        return {
            **self.training_metrics(y, prediction),
            "f1_macro": float(f1_score(y, decided, average="macro", zero_division=0)),
            "accuracy": float(accuracy_score(y, decided)),
            "balanced_accuracy": float(balanced_accuracy_score(y, decided)),
            "precision_macro": float(precision_score(y, decided, average="macro", zero_division=0)),
            "brier": float(_squares(y, prediction).mean()),
            "ece": calibration_error(decided == y, prediction.max(axis=1)),
            "pr_auc_ovr": float(average_precision_score(np.eye(prediction.shape[1])[y], prediction)),
            "roc_auc_ovr": float(np.mean(aucs)),
            "roc_auc_highest": float(np.max(aucs)),
        }

    def intervals(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Intervals:
        """F1: the bootstrap's, or Wilson's on the side where that is wider, since rows that are all decided
        right vary in no resample. Accuracy: Wilson's. Log loss: Student's. What is a mean over classes has
        the mean of their intervals, as wide as if the classes were right and wrong together.
        """
        from sklearn.metrics import average_precision_score, f1_score

        rows, decided, classes = len(y), prediction.argmax(axis=1), prediction.shape[1]
        counts = np.bincount(y, minlength=classes)
        cells = np.bincount(y * classes + decided, minlength=classes**2)
        _, macro = np.quantile(f1_scores(resampled(y, decided, classes)), [0.025, 0.975], axis=1).T
        right = np.diagonal(cells.reshape(classes, classes))
        chosen = np.bincount(decided, minlength=classes)
        recalls, precisions = (
            [
                of_share(hits / max(of, 1), of)
                for hits, of in zip(right.tolist(), rows_of.tolist(), strict=True)
            ]
            for rows_of in (counts, chosen)
        )
        one_of = np.eye(classes)[y]
        mean_f1 = float(f1_score(y, decided, average="macro", zero_division=0))
        aucs = _aucs(y, prediction)
        highest = max(aucs, key=lambda one: one.auc)
        losses = -np.log(np.clip(prediction[np.arange(rows), y], np.finfo(float).eps, 1))
        return {
            "f1_weighted": self.interval(y, prediction),
            "f1_macro": _wider(macro, of_share(mean_f1, classes * int(counts.min()))),
            "accuracy": of_share(float((decided == y).mean()), rows),
            "balanced_accuracy": _mean(recalls),
            "precision_macro": _mean(precisions),
            "brier": not_negative(of_mean(_squares(y, prediction))),
            "ece": calibration_error_interval(decided == y, prediction.max(axis=1)),
            "pr_auc_ovr": _mean(
                [
                    of_share(float(average_precision_score(is_it, p)), int(is_it.sum()))
                    for is_it, p in zip(one_of.T, prediction.T, strict=True)
                ]
            ),
            "log_loss": not_negative(of_mean(losses)),
            "roc_auc_ovr": _mean([Interval(one.low, one.high) for one in aucs]),
            "roc_auc_highest": Interval(highest.low, highest.high),
        }

    def curves(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> dict[str, Any]:
        """`confusion`: rows of each class (in the order of `labels`) by the class decided. `by_class`: rows,
        precision, recall, F1 and AUC against the rest. `roc`: that curve of each class.
        """
        from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

        places, decided = np.arange(len(self.labels)), prediction.argmax(axis=1)
        figures = precision_recall_fscore_support(y, decided, labels=places, zero_division=0)
        aucs = _aucs(y, prediction)
        roc = {}
        for place, label in enumerate(self.labels):
            roc[label] = roc_points(y == place, prediction[:, place], MAX_ROC_POINTS)
        return {
            "labels": list(self.labels),
            "confusion": confusion_matrix(y, decided, labels=places).tolist(),
            "by_class": [
                {
                    "class": label, "n": int(n), "precision": float(precision), "recall": float(recall),
                    "f1": float(f1), "roc_auc": auc.auc,
                }
                for label, precision, recall, f1, n, auc in zip(self.labels, *figures, aucs, strict=True)
            ],
            "roc": roc,
        }  # fmt: skip

    def plots(self, evaluation: Evaluation) -> dict[str, bytes]:
        """Confusion matrix, in shares of each class, and the ROC curve of each class against the rest.

        Shares are of rounded counts, as an exact one of a small class tells of a patient.
        """
        labels, exact = evaluation.curves["labels"], np.array(evaluation.curves["confusion"])
        cells = Cells(MINIMUM_CELL_COUNT).rounded(exact)
        shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
        confusion, axes = drawing.canvas()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (actual, decided), share in np.ndenumerate(shares):
            ink = "white" if share > 0.5 else drawing.INK
            axes.text(decided, actual, f"{share:.0%}", ha="center", va="center", color=ink)
        names = [drawing.plain(label) for label in labels]
        axes.set_xticks(range(len(labels)), names)
        axes.set_yticks(range(len(labels)), names)
        axes.set(xlabel="Decided", ylabel="Actual")
        f1, ends = evaluation.primary("test"), evaluation.interval("test")
        if f1 is not None and ends is not None:
            axes.set_title(f"{evaluation.algorithm}: F1 {f1:.3f} (95 % {ends[0]:.3f} to {ends[1]:.3f})")
        roc, axes = drawing.canvas()
        axes.plot([0, 1], [0, 1], color=drawing.SOFT, linestyle="--", linewidth=1)
        lines = [
            axes.plot(*zip(*evaluation.curves["roc"][label], strict=True), linewidth=2)[0] for label in labels
        ]
        axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
        axes.set(xlabel="False positive rate", ylabel="True positive rate")
        # Given with their lines, also names that begin with _ are shown.
        axes.legend(lines, names, title="Against the rest", loc="lower right", frameon=False)
        return {"confusion.png": drawing.png(confusion), "roc.png": drawing.png(roc)}

    def answer(self, classes: Sequence[Any], target: str, threshold: float | None) -> Answer:
        """The most probable class, and the probability of each."""
        if len(classes) != len(self.labels):
            raise ServedModelError(
                f"the scope names {len(self.labels)} classes, the pipeline has {len(classes)}; train it again"
            )
        return Answer(
            "classification-service", 3001, "predict_proba", "class",
            columns=tuple(range(len(self.labels))), labels=self.labels, facts={"target": target},
        )  # fmt: skip

    def shares(self, target: str, values: pd.Series, cells: Cells) -> dict[str, Any]:
        """The share of each class, of those whose class is known."""
        counts, total = as_label(values).value_counts(), int(values.count())
        spelled = zip(self.labels, as_label(pd.Series(self.labels)), strict=True)
        return {f"{target} {label}": cells.share(int(counts.get(key, 0)), total) for label, key in spelled}


class MulticlassScope(PredictiveScope):
    """A question with one of several classes as its answer.

    Attributes:
        classes: the values that the target may have, three or more, in the order of the answers.
        plausible_max_auc: what features may reach together for one class against the rest, and a model on
            test, before those that nobody has declared as known on the index date become a question.
    """

    problem_class: ClassVar = Multiclass
    problem_type: Literal["multiclass_classification"]
    classes: tuple[str | int, ...]
    plausible_max_auc: float = Field(default=0.95, gt=0.5, le=1)

    @field_validator("classes", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """Where pydantic would tell of Python's types, what to write instead."""
        if not isinstance(value, list | tuple):
            return value
        if odd := [label for label in value if isinstance(label, bool) or not isinstance(label, str | int)]:
            shown = ", ".join(json.dumps(label, default=str) for label in odd)
            raise ValueError(f"{shown}: a class is text or a whole number; put others in quotes")
        if len(value) < 3:
            raise ValueError(
                f"names {len(value)} of at least 3 classes; of two, ask for problem_type: "
                "binary_classification and a target of 0 and 1"
            )
        return value

    @field_validator("classes")
    @classmethod
    def _distinct(cls, value: tuple[str | int, ...]) -> tuple[str | int, ...]:
        if blank := [place for place, label in enumerate(value, 1) if not str(label).strip()]:
            raise ValueError(f"class {blank[0]} of {len(value)} is blank: leave it out, or name it")
        if as_label(pd.Series(value, dtype=object)).nunique() < len(value):
            raise ValueError("names a class twice, in another spelling maybe (`1` and `1.0`)")
        return value

    @property
    def problem(self) -> Multiclass:
        """With the classes that the file names."""
        return Multiclass(tuple(map(str, self.classes)))

    @property
    def plausible(self) -> PlausibleLimit:
        """Of the AUC."""
        return PlausibleLimit("max_auc", self.plausible_max_auc)


PROBLEM, SCOPE = Multiclass, MulticlassScope


def _aucs(y: np.ndarray, prediction: np.ndarray) -> list[Any]:
    """ROC-AUC of each class against the rest, with its interval."""
    return [auc_interval((y == place).astype(int), p) for place, p in enumerate(prediction.T)]


def _wider(bootstrapped: np.ndarray, other: Interval) -> Interval:
    low, high = bootstrapped.tolist()
    return Interval(min(low, other.low), max(high, other.high))


def _mean(intervals: Sequence[Interval]) -> Interval:
    low, high = np.mean(intervals, axis=0).tolist()
    return Interval(low, high)


def _squares(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Squared distance of each row's probabilities from what came true."""
    return np.asarray(np.square(prediction - np.eye(prediction.shape[1])[y]).sum(axis=1))
