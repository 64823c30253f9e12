"""How much: models give a number and are chosen by the root mean squared error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from e2i_assets import drawing
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.modeling.errors import ServedModelError, TrainingDataError
from e2i_assets.modeling.magnitudes import LARGEST
from e2i_assets.modeling.metrics.calibration import equal_bins
from e2i_assets.modeling.metrics.correction import Correction, corrected_numbers, correction_of_numbers
from e2i_assets.modeling.metrics.intervals import Interval, not_negative, of_logarithm, of_mean
from e2i_assets.modeling.problems.base import Answer, Comparison, Evaluation, Intervals, Metrics, Problem
from e2i_assets.modeling.scopes.scope import PlausibleLimit, PredictiveScope
from e2i_assets.modeling.selection.algorithms import regressors
from e2i_assets.modeling.training.fitting import Watched

ROWS_PER_FOLD = 10
NEAR_ZERO = 0.01
"""Share of the target's mean size below which an error as a share of it says nothing."""
MORE_ROWS = "Load more patients, or widen the cohort by its criteria: more must have a known outcome."


@dataclass(frozen=True)
class Regression(Problem):
    """A number; a prediction is its expected value.

    Neither folds nor splits are stratified: ranges of the target would move with every patient who is new,
    and those who have a split would no longer fit. Two models are compared by the difference of their errors,
    paired on the same held-out rows. Nothing is decided, so there is no threshold.
    """

    problem_type = "regression"
    primary_metric = "rmse"
    greater_is_better = False
    stratified = False
    of_classes = False
    in_unit = frozenset({"rmse", "mae", "mean_error"})
    plausible_metric = "r2"
    criteria: ClassVar[Mapping[str, str]] = {name: name for name in ("rmse", "mae", "mape", "r2")}
    ascending: ClassVar[Mapping[str, bool | None]] = {"rmse": False, "mae": False, "mape": False, "r2": True}
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "rmse": (0, math.inf),
        "mae": (0, math.inf),
        "mape": (0, math.inf),
        "r2": (-math.inf, 1),
    }
    algorithms = regressors(Watched("rmse", "rmse", -1))

    def target(self, name: str, values: pd.Series) -> np.ndarray:
        """Finite numbers as float64, not all the same."""
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
            raise TrainingDataError(
                f"{name}: the target is of {values.dtype}, not numbers", "Turn it into a number of days."
            )
        if bad := int((~(np.abs(numbers) <= LARGEST)).sum()):
            raise TrainingDataError(
                f"{name}: the target of {bad} of {len(numbers)} rows is no finite number, or beyond "
                f"{LARGEST:g}"
            )
        if len(np.unique(numbers)) < 2 or not np.var(numbers) > 0:
            raise TrainingDataError(
                f"{name}: the target of all {len(numbers)} rows is the same; there is nothing to predict",
                MORE_ROWS,
            )
        return numbers

    def require_folds(self, name: str, y: np.ndarray, folds: int) -> None:
        """Ten rows in every fold, and more than two values: two are classes."""
        if len(np.unique(y)) < 3:
            raise TrainingDataError(
                f"{name}: the target has two values only, which are classes",
                "Ask for problem_type: binary_classification in the scope.",
            )
        if len(y) < ROWS_PER_FOLD * folds:
            raise TrainingDataError(
                f"{name}: {len(y)} rows, {ROWS_PER_FOLD * folds} are needed to compare algorithms", MORE_ROWS
            )

    def folds(self, y: np.ndarray, folds: int, seed: int) -> Any:
        """Drawn."""
        from sklearn.model_selection import KFold

        return KFold(folds, shuffle=True, random_state=seed).split(y)

    def strata(self, y: np.ndarray) -> None:
        """None."""

    def predict(self, estimator: Any, X: Any) -> np.ndarray:
        """Expected value, shape (rows,)."""
        return np.asarray(estimator.predict(X), dtype=float)

    def measure(self, y: np.ndarray, prediction: np.ndarray) -> float:
        """RMSE, in the unit of the target."""
        return float(np.sqrt(np.mean((y - prediction) ** 2)))

    def interval(self, y: np.ndarray, prediction: np.ndarray) -> Interval | None:
        """Of the RMSE: Student's on the logarithm of the squared error, which is less lopsided."""
        ends = of_logarithm((prediction - y) ** 2)
        return ends and Interval(math.sqrt(ends.low), math.sqrt(ends.high))

    def correlation(self, y: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
        """Of the squared errors."""
        squares = np.square(np.array([first, second]) - y)
        if len(y) < 2 or (squares.std(axis=1) == 0).any():
            return 0.0
        return float(np.corrcoef(squares)[0, 1])

    def simple_model(self) -> Any:
        """Ridge regression, its penalty by generalised cross-validation on train."""
        from sklearn.linear_model import RidgeCV

        return RidgeCV(np.logspace(-2, 4, 13))

    def compare(
        self, targets: Sequence[np.ndarray], predictions: Sequence[Sequence[np.ndarray]]
    ) -> Comparison:
        """Mean negative RMSE; its noise is the standard error of the paired difference, averaged over folds.

        A fold's RMSE moves with a row by its squared error over twice the RMSE (delta method).
        """
        squares = [
            np.square(np.array(predicted) - y) for y, predicted in zip(targets, predictions, strict=True)
        ]
        errors = np.sqrt([fold.mean(axis=1) for fold in squares])
        means = -errors.mean(axis=0)
        best = int(np.argmax(means))
        variances = []
        for fold, error in zip(squares, errors, strict=True):
            moves = fold / (2 * np.maximum(error, np.finfo(float).tiny))[:, None]
            variances.append((moves - moves[best]).var(axis=1, ddof=1) / fold.shape[1])
        return Comparison(means, errors.std(axis=0), np.sqrt(np.sum(variances, axis=0)) / len(squares))

    def baseline(self, y: np.ndarray) -> tuple[float, ...]:
        """The mean."""
        from sklearn.dummy import DummyRegressor

        nothing = np.zeros((len(y), 1))
        return tuple(DummyRegressor().fit(nothing, y).predict(nothing[:1]).tolist())

    def training_metrics(self, y: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        """RMSE and MAE."""
        return {"rmse": self.measure(y, prediction), "mae": float(np.abs(y - prediction).mean())}

    def metrics(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Metrics:
        """rmse, mae and mean_error (predicted less actual) in the target's unit, r2, and mape as a share.

        Where a target is 0, or next to it, there is no mape.
        """
        from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error, r2_score

        return {
            "rmse": self.measure(y, prediction),
            "mae": float(mean_absolute_error(y, prediction)),
            "mean_error": float(np.mean(prediction - y)),
            "mape": None if _near_zero(y) else float(mean_absolute_percentage_error(y, prediction)),
            "r2": float(r2_score(y, prediction)),
        }

    def intervals(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Intervals:
        """Student's; of rmse and r2 on the logarithm of the squared error, which is less lopsided."""
        errors = prediction - y
        of_rest = of_logarithm(errors**2, (y - y.mean()) ** 2)
        return {
            "rmse": self.interval(y, prediction),
            "mae": not_negative(of_mean(np.abs(errors))),
            "mean_error": of_mean(errors),
            "mape": None if _near_zero(y) else not_negative(of_mean(np.abs(errors / y))),
            "r2": of_rest and Interval(1 - of_rest.high, 1 - of_rest.low),
        }

    def reasons(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> Mapping[str, str]:
        """Of mape, which divides by the target."""
        if not _near_zero(y):
            return {}
        return {  # in words: so few rows may have one that their number is not to be told
            "mape": f"the target of some rows is zero, or below {NEAR_ZERO:.0%} of the mean size: a share of "
            "it would be all there is to see"
        }

    def correction(self, y: np.ndarray, prediction: np.ndarray, *, slope: bool) -> Correction:
        """Least squares."""
        return correction_of_numbers(y, prediction, slope=slope)

    def corrected(self, correction: Correction, prediction: np.ndarray) -> np.ndarray:
        """In the unit of the target."""
        return corrected_numbers(correction, prediction)

    def curves(self, y: np.ndarray, prediction: np.ndarray, threshold: float | None) -> dict[str, Any]:
        """`by_prediction`: up to ten bins of equal size in order of prediction, at least 20 rows each where
        there are as many: rows, mean prediction, mean and spread of the actual and of actual less predicted.
        """
        return {
            "by_prediction": [
                {
                    "n": len(b),
                    "predicted": float(prediction[b].mean()),
                    "actual": float(y[b].mean()),
                    "actual_spread": float(y[b].std()),
                    "residual": float((y - prediction)[b].mean()),
                    "residual_spread": float((y - prediction)[b].std()),
                }
                for b in equal_bins(prediction)
            ]
        }

    def plots(self, evaluation: Evaluation) -> dict[str, bytes]:
        """Actual values and residuals by prediction, each with its standard deviation."""
        bins, test = evaluation.curves["by_prediction"], evaluation.metrics["test"]
        predicted = [b["predicted"] for b in bins]
        pictures = {}
        for name, shown in (("predicted_vs_actual", "actual"), ("residuals", "residual")):
            figure, axes = drawing.canvas()
            ideal = predicted if shown == "actual" else [0.0] * len(bins)
            axes.plot(predicted, ideal, color=drawing.SOFT, linestyle="--", linewidth=1)
            axes.errorbar(
                predicted,
                [b[shown] for b in bins],
                yerr=[b[f"{shown}_spread"] for b in bins],
                color=drawing.LINE,
                marker="o",
                markersize=5,
                capsize=3,
            )
            axes.set(xlabel="Predicted", ylabel="Actual" if shown == "actual" else "Actual less predicted")
            axes.set_title(f"{evaluation.algorithm}: RMSE {test['rmse']:.4g}, R² {test['r2']:.3f}")
            pictures[f"{name}.png"] = drawing.png(figure)
        return pictures

    def answer(self, classes: Sequence[Any], target: str, threshold: float | None) -> Answer:
        """The value."""
        if len(classes):
            raise ServedModelError("a regression bundle needs a regressor, the pipeline tells classes apart")
        return Answer("regression-service", 3002, "predict", "value", facts={"target": target})

    def shares(self, target: str, values: pd.Series, cells: Cells) -> dict[str, Any]:
        """The mean, to four digits."""
        few = cells.minimum is not None and values.count() < cells.minimum
        return {f"{target} mean": None if few or not values.count() else float(f"{values.mean():.4g}")}


class RegressionScope(PredictiveScope):
    """A question with a number as its answer.

    Attributes:
        plausible_max_r2: what features may reach together, and a model on test, before those that nobody has
            declared as known on the index date become a question.
    """

    problem_class: ClassVar = Regression
    problem_type: Literal["regression"]
    plausible_max_r2: float = Field(default=0.90, gt=0, le=1)

    @property
    def plausible(self) -> PlausibleLimit:
        """Of R²."""
        return PlausibleLimit("max_r2", self.plausible_max_r2)


PROBLEM, SCOPE = Regression, RegressionScope


def _near_zero(y: np.ndarray) -> int:
    """Rows whose target is too small to divide an error by."""
    size = np.abs(y)
    return int(np.sum((size == 0) | (size < NEAR_ZERO * size.mean())))
