"""SHAP values of a trained pipeline, exact for the kind of model that it is, by raw feature.

Boosted trees and forests: path-dependent TreeSHAP (Lundberg 2020), by the boosters themselves and, of
forests, by `shap`. Linear models: coefficient times the distance from the background's mean (Lundberg 2017,
corollary 1). A feature's columns (its levels, its gaps) are added up; values and base make the model's score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from e2i_assets.modeling.errors import ModelingError
from e2i_assets.modeling.preprocessing.preprocessor import sources_of

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline


class NotExplainedError(ModelingError):
    """A kind of model whose predictions nobody has taken apart here."""

    code = "not_explained"
    next_step = "Exclude the algorithm in the scope, or do without the explanation."


@dataclass(frozen=True)
class Attribution:
    """What each feature adds to a model's score.

    Attributes:
        values: shape (rows, features, outputs); one output for each class of several, else one.
        base: score before any feature is known, shape (outputs,).
        features: raw features, in the order of `values`.
        scale: what the score is, in words.
    """

    values: np.ndarray
    base: np.ndarray
    features: tuple[str, ...]
    scale: str


@dataclass(frozen=True)
class Scored:
    """A pipeline taken apart: what makes the score, and how the score becomes one in units of the target.

    Attributes:
        estimator: without a calibration or a transformation of the target around it.
        factor, offset: of the target's standardisation.
        scale: what the score is, in words.
    """

    preprocessor: ColumnTransformer
    estimator: Any
    factor: float
    offset: float
    scale: str

    @property
    def additive(self) -> bool:
        """Whether it adds its features up, so that none interacts with another."""
        return hasattr(self.estimator, "coef_")

    def score(self, X: pd.DataFrame) -> np.ndarray:
        """The score of raw rows, shape (rows, outputs)."""
        return _score(self.estimator, self.preprocessor.transform(X)) * self.factor + self.offset


def scored(pipeline: Pipeline) -> Scored:
    """Take a pipeline apart.

    Raises:
        NotExplainedError: the model is none of those that this module knows.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.frozen import FrozenEstimator

    preprocessor, estimator = pipeline[0], pipeline[-1]
    factor, offset, calibrated = 1.0, 0.0, isinstance(estimator, CalibratedClassifierCV)
    while isinstance(estimator, CalibratedClassifierCV | FrozenEstimator):
        estimator = estimator.estimator
    if isinstance(estimator, TransformedTargetRegressor):
        standard = estimator.transformer_
        factor, offset = float(standard.scale_[0]), float(standard.mean_[0])
        estimator = estimator.regressor_
    if not (hasattr(estimator, "coef_") or _is_booster(estimator) or hasattr(estimator, "estimators_")):
        raise NotExplainedError(f"{type(estimator).__name__} has no SHAP values here")
    scale = "target"
    if hasattr(estimator, "classes_"):
        scale = "probability" if hasattr(estimator, "estimators_") else "log-odds"
    return Scored(preprocessor, estimator, factor, offset, scale + " before calibration" * calibrated)


def attribute(pipeline: Pipeline, X: pd.DataFrame, background: pd.DataFrame) -> Attribution:
    """SHAP values of raw rows.

    Args:
        background: raw rows whose mean a linear model's values are distances from; trees do without.

    Raises:
        NotExplainedError: the model is none of those that this module knows.
    """
    model = scored(pipeline)
    M = model.preprocessor.transform(X)
    if model.additive:
        values, base = _of_linear(model.estimator, M, model.preprocessor.transform(background))
    elif _is_booster(model.estimator):
        values, base = _of_booster(model.estimator, M)
    else:
        values, base = _of_forest(model.estimator, M)
    names = tuple(str(name) for name in model.preprocessor.feature_names_in_)
    sources = sources_of(model.preprocessor)
    of_feature = np.array([[source == name for source in sources] for name in names], dtype=float)
    summed = np.einsum("fc,rco->rfo", of_feature, values)
    return Attribution(summed * model.factor, base * model.factor + model.offset, names, model.scale)


def affordable_rows(pipeline: Pipeline, most: int) -> int:
    """Rows that are explained within seconds: of a forest, leaves and depth decide."""
    estimator = scored(pipeline).estimator
    if not hasattr(estimator, "estimators_"):
        return most
    trees = [tree.tree_ for tree in estimator.estimators_]
    work = sum(tree.n_leaves for tree in trees) * max(tree.max_depth for tree in trees) ** 2
    return int(np.clip(_WORK // max(work, 1), min(_LEAST, most), most))


_WORK = 5_000_000_000
"""Leaves times squared depth times rows that take a few seconds."""
_LEAST = 50


def _is_booster(estimator: Any) -> bool:
    return type(estimator).__module__.split(".")[0] in ("xgboost", "lightgbm")


def _score(estimator: Any, M: np.ndarray) -> np.ndarray:
    if hasattr(estimator, "estimators_"):
        if hasattr(estimator, "classes_"):
            probabilities = estimator.predict_proba(M)
            return probabilities[:, 1:] if probabilities.shape[1] == 2 else probabilities
        return _columns(estimator.predict(M))
    if hasattr(estimator, "booster_"):
        return _columns(estimator.booster_.predict(M, raw_score=True))
    if _is_booster(estimator):
        return _columns(estimator.predict(M, output_margin=True))
    return _columns(
        estimator.decision_function(M) if hasattr(estimator, "classes_") else estimator.predict(M)
    )


def _columns(scores: Any) -> np.ndarray:
    """Scores as (rows, outputs), float64."""
    scores = np.asarray(scores, dtype=float)
    return scores[:, None] if scores.ndim == 1 else scores


def _of_linear(estimator: Any, M: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    coefficients = np.atleast_2d(estimator.coef_)  # outputs by columns
    mean = background.mean(axis=0)
    values = (M - mean)[:, :, None] * coefficients.T[None]
    return values, np.atleast_1d(estimator.intercept_) + coefficients @ mean


def _of_booster(estimator: Any, M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The library's own: the last column is the base."""
    if hasattr(estimator, "booster_"):
        flat = np.asarray(estimator.booster_.predict(M, pred_contrib=True))
        raw = flat.reshape(len(M), -1, M.shape[1] + 1)
    else:
        import xgboost

        booster = estimator.get_booster()
        raw = np.asarray(booster.predict(xgboost.DMatrix(M), pred_contribs=True), dtype=float)
        raw = raw[:, None, :] if raw.ndim == 2 else raw
    values = raw.transpose(0, 2, 1)
    return values[:, :-1], values[0, -1]


def _of_forest(estimator: Any, M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of matplotlib, by shap's own colours
        import shap

    explainer = shap.TreeExplainer(estimator)
    values, base = np.asarray(explainer.shap_values(M)), np.atleast_1d(explainer.expected_value)
    if values.ndim == 2:
        return values[:, :, None], base
    return (values[:, :, 1:], base[1:]) if values.shape[2] == 2 else (values, base)
