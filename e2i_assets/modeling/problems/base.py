"""What a problem type is: everything that depends on the kind of target, and nothing else.

Each stage asks the problem of its scope; no stage knows which kinds there are. What is the same for every
kind (ranking, tuning, saving, gates) is not here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.modeling.errors import NoCandidateError
from e2i_assets.modeling.metrics.correction import (
    Correction,
    corrected_probabilities,
    correction_of_probabilities,
)
from e2i_assets.modeling.metrics.figures import Compared, Subgroup
from e2i_assets.modeling.metrics.intervals import Interval
from e2i_assets.modeling.selection.algorithms import Algorithm

Metrics = Mapping[str, float | None]
Intervals = Mapping[str, Interval | None]


def log_loss_of(likelihood: np.ndarray) -> float:
    """Mean negative logarithm of the probability that was given to what came true, shape (rows,)."""
    return float(-np.log(np.clip(likelihood, np.finfo(float).eps, 1)).mean())


@dataclass(frozen=True)
class Comparison:
    """Models on the same held-out rows, each array of shape (models,).

    Attributes:
        means, stds: score over the folds; more is better.
        noise: standard error of the difference to the best one.
    """

    means: np.ndarray
    stds: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What a prediction looks like to a client; part of a bundle's `schema.json`.

    Attributes:
        service, port: which service answers, and where it listens by default.
        method: of the pipeline, `predict_proba` or `predict`; of a causal learner `effect`.
        gives: `probability` of the last of the columns, the most probable `class`, the `value` itself, or an
            `effect` with its interval.
        columns: of what the method gives, in the order in which a client gets them; none for a value.
        labels: of the columns.
        facts: what else the service tells of its answers.
        line: of an effect, how it and its interval follow from what the pipeline gives, and the average one
            (`causal.cate.Calibrated`).
    """

    service: str
    port: int
    method: Literal["predict", "predict_proba", "effect"]
    gives: Literal["probability", "class", "value", "effect"]
    columns: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    facts: Mapping[str, str | float] | None = None
    line: Mapping[str, float] | None = None

    def document(self) -> dict[str, Any]:
        """What the service needs to answer, as plain JSON types."""
        return {
            "method": self.method,
            "gives": self.gives,
            "columns": list(self.columns),
            "labels": list(self.labels),
            **({"line": dict(self.line)} if self.line else {}),
        }


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model. Aggregates only.

    What earlier releases did not write down has a default, so that what test told stays readable.

    Attributes:
        primary_metric: the metric that models of this problem type are chosen by.
        fingerprint: of the model.
        metrics: split (`train`, `validation`, `test`) to metrics, None where one cannot be computed. The
            model was fitted on train, tuned and calibrated on validation: there it flatters.
        intervals: the same, to 95 % intervals.
        curves: of test; what the plots are made of. `learning` is of validation, by rows of train.
        threshold: from which prediction on a row is decided positive, chosen on validation; None where
            nothing is decided.
        baseline: primary metric on test of a model that knows the target of train and no feature.
        threshold_rule: how the threshold was chosen; empty where there is none.
        calibration: how predicted probabilities were calibrated: `none`, `sigmoid` or `isotonic`; empty where
            none are predicted.
        compared: simple models on the same features and test rows.
        oracle: primary metric on test of the true process, for synthetic data.
        subgroups: test by age band, sex, region and insurance.
        unavailable: what could not be computed (`test mape`, `subgroups insurance`, `learning`), with the
            reason.
    """

    problem_type: str
    primary_metric: str
    fingerprint: str
    algorithm: str
    metrics: Mapping[str, Metrics]
    intervals: Mapping[str, Intervals]
    curves: Mapping[str, Any]
    threshold: float | None
    baseline: float | None
    n_test: int
    n_validation: int
    n_train: int | None = None
    threshold_rule: str = ""
    calibration: str = ""
    compared: tuple[Compared, ...] = ()
    oracle: float | None = None
    subgroups: tuple[Subgroup, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)

    def primary(self, split: str) -> float | None:
        """The primary metric on a split."""
        return self.metrics[split][self.primary_metric]

    def interval(self, split: str) -> Interval | None:
        """The 95 % interval of the primary metric on a split."""
        return self.intervals[split].get(self.primary_metric)


@dataclass(frozen=True)
class Problem(ABC):
    """One problem type.

    A prediction is an array with one row per row of features: of shape (rows,) a probability or a value, of
    shape (rows, labels) a probability for each label.

    Attributes:
        labels: the classes that a scope names, in the order of their probabilities; none where it names none.
    """

    labels: tuple[str, ...] = ()

    problem_type: ClassVar[str]
    primary_metric: ClassVar[str]
    """Name, among `metrics`, of what models are chosen by."""
    greater_is_better: ClassVar[bool] = True
    stratified: ClassVar[bool]
    """Whether splits are stratified by the target."""
    of_classes: ClassVar[bool] = True
    """Whether the target is one of several classes."""
    of_numbers: ClassVar[bool] = True
    """Whether the target must be numbers (0 and 1 are)."""
    criteria: ClassVar[Mapping[str, str]]
    """What a success criterion may be about: its name there, and the metric's name in an evaluation."""
    ascending: ClassVar[Mapping[str, bool | None]]
    """Of each of these metrics, whether more is better; None where it is best in between."""
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """The values that a criterion's metric can have, where they are not from 0 to 1."""
    in_unit: ClassVar[frozenset[str]] = frozenset()
    """The metrics that have the unit of the target, and so any size."""
    plausible_metric: ClassVar[str]
    """The metric that may be too good to be true."""
    algorithms: ClassVar[Mapping[str, Algorithm]]
    """Every algorithm that can be run, by name."""

    def algorithm(self, name: str) -> Algorithm:
        """One of the algorithms.

        Raises:
            NoCandidateError: there is none of this name for this problem type.
        """
        if name not in self.algorithms:
            raise NoCandidateError(
                f"{name} does not do {self.problem_type}: it was chosen for a question of another kind",
                next_step="Materialize the model candidate again.",
            )
        return self.algorithms[name]

    @property
    def scorer(self) -> str:
        """Name of the score: the primary metric, with `neg_` before it where less of that is better."""
        return self.primary_metric if self.greater_is_better else f"neg_{self.primary_metric}"

    def score(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """The primary metric, negated where less of it is better; more is better."""
        value = self.measure(y, prediction)
        return value if self.greater_is_better else -value

    def loss(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """What tells models apart that are level by their score: smoother than it, less is better."""
        return -self.score(y, prediction)

    def noise(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """Standard error of the score on these rows; 0 where the loss is the score and nothing is level."""
        return 0.0

    def figure(self, metric: str, value: float) -> str:
        """A value of a metric for a person: to three decimals, or four digits where it has a unit."""
        return f"{value:.4g}" if metric in self.in_unit else f"{value:.3f}"

    @abstractmethod
    def target(self, name: str, values: pd.Series) -> np.ndarray:
        """The target of a split as models take it, shape (rows,).

        Raises:
            TrainingDataError: a value is missing or no value of such a target, or there are too few.
        """

    @abstractmethod
    def require_folds(self, name: str, y: np.ndarray, folds: int) -> None:
        """Check that a split has rows enough to compare models on so many folds.

        Raises:
            TrainingDataError: it has not.
        """

    @abstractmethod
    def folds(self, y: np.ndarray, folds: int, seed: int) -> Any:
        """Pairs of row numbers, to fit on and to score on."""

    @abstractmethod
    def strata(self, y: np.ndarray) -> np.ndarray | None:
        """What a sample of rows is stratified by; None where by nothing."""

    @abstractmethod
    def predict(self, estimator: Any, X: Any) -> np.ndarray:
        """The prediction of a fitted estimator or pipeline."""

    @abstractmethod
    def measure(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """The primary metric."""

    @abstractmethod
    def interval(self, y: np.ndarray, prediction: np.ndarray) -> Interval | None:
        """The 95 % interval of the primary metric; None where it cannot be computed."""

    @abstractmethod
    def correlation(self, y: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
        """Correlation of two predictions' primary metrics over samples of such rows; 0 where unknown."""

    def fewest(self, y: np.ndarray) -> int:
        """The rows that an estimate on so few stands on: of the rarer outcome, or all."""
        return len(y)

    def errors(self, y: np.ndarray, prediction: np.ndarray) -> np.ndarray | None:
        """Prediction less outcome of each row; None where a prediction is no expected outcome."""
        return prediction - y

    @abstractmethod
    def simple_model(self) -> Any:
        """An unfitted linear estimator that any model should be compared with."""

    @abstractmethod
    def compare(
        self, targets: Sequence[np.ndarray], predictions: Sequence[Sequence[np.ndarray]]
    ) -> Comparison:
        """Models by their score on held-out rows, with the noise of the comparison.

        Args:
            targets: of each fold.
            predictions: of each fold, those of each model.
        """

    @abstractmethod
    def baseline(self, y: np.ndarray) -> tuple[float, ...]:
        """What a model that knows the target of train and no feature predicts for any row."""

    def baseline_prediction(self, baseline: Sequence[float], rows: int) -> np.ndarray:
        """The baseline's prediction of so many rows."""
        constant = np.tile(np.asarray(baseline, dtype=float), (rows, 1))
        return constant if self.labels else constant[:, 0]

    @abstractmethod
    def training_metrics(self, y: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        """A few figures of how well a model fits, the primary metric among them."""

    def threshold(self, y: np.ndarray, prediction: np.ndarray) -> float | None:
        """From which prediction on a row is decided positive; None where nothing is decided."""
        return None

    @property
    def threshold_rule(self) -> str:
        """How the threshold is chosen, in words; empty where nothing is decided."""
        return ""

    def reasons(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Mapping[str, str]:
        """Why each metric that cannot be computed cannot."""
        return {}

    @abstractmethod
    def metrics(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Metrics:
        """All metrics; None where one cannot be computed."""

    @abstractmethod
    def intervals(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Intervals:
        """The 95 % interval of each metric; None where it cannot be computed."""

    def correction(self, y: np.ndarray, prediction: np.ndarray, *, slope: bool) -> Correction:
        """What brings predictions closest to these outcomes: an intercept, with `slope` also a slope."""
        return correction_of_probabilities(y, prediction, slope=slope)

    def corrected(self, correction: Correction, prediction: np.ndarray) -> np.ndarray:
        """Predictions as a correction makes them."""
        return corrected_probabilities(correction, prediction)

    @abstractmethod
    def curves(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> dict[str, Any]:
        """What the plots are made of, as plain JSON types: aggregates, never a row."""

    @abstractmethod
    def plots(self, evaluation: Evaluation) -> dict[str, bytes]:
        """Pictures of an evaluation as PNG, by name; the same figures give the same bytes."""

    @abstractmethod
    def answer(self, classes: Sequence[Any], target: str, threshold: float | None) -> Answer:
        """What a client gets from a pipeline.

        Args:
            classes: of the pipeline; none where it has none.
            target: name of the target, or of the class that counts as positive.

        Raises:
            ServedModelError: the pipeline is none of this problem type.
        """

    @abstractmethod
    def shares(self, target: str, values: pd.Series, cells: Cells) -> dict[str, Any]:
        """How the target is spread in a split, for a person; small cells are hidden."""
