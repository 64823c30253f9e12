"""The models that stand in for what is not known, the outcome of each row and who is treated, and how they
are weighed against one another.

Each is a few lines around a library's own estimator: numbers in, a function that predicts out. Whatever is
yes or no is predicted as a probability, whatever is counted as a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, str, int], Predict]

MOST_SQUARES = 40
"""With more columns than this only their squares are added, not their products."""
ALPHAS = tuple(10.0**power for power in range(-1, 5))


def constant(x: np.ndarray, y: np.ndarray, kind: str, seed: int) -> Predict:
    """The mean: what covariates that say nothing leave."""
    mean = float(y.mean())
    return lambda rows: np.full(len(rows), mean)


def linear(x: np.ndarray, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Logistic or Poisson regression; of a measurement ridge with a penalty chosen by cross-validation."""
    return _linear(x, y, kind, 1.0)


def shrunk(x: np.ndarray, y: np.ndarray, kind: str, seed: int) -> Predict:
    """As `linear`, pulled harder towards the mean: for many columns and few rows."""
    return _linear(x, y, kind, 0.02)


def curved(x: np.ndarray, y: np.ndarray, kind: str, seed: int) -> Predict:
    """As `linear`, with squares and products of the columns."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

    if not x.shape[1]:
        return constant(x, y, kind, seed)
    expand: Any = (
        PolynomialFeatures(2, include_bias=False)
        if x.shape[1] <= MOST_SQUARES
        else FunctionTransformer(_with_squares)
    )
    basis = make_pipeline(FunctionTransformer(_within), expand, StandardScaler()).fit(x)
    predict = _linear(basis.transform(x), y, kind, 0.02)
    return lambda rows: predict(basis.transform(rows))


def _within(x: np.ndarray) -> np.ndarray:
    """Standardised numbers without their far ends, whose squares would rule the rest."""
    return np.clip(x, -4, 4)


def _with_squares(x: np.ndarray) -> np.ndarray:
    return np.hstack([x, x**2])


def _linear(x: np.ndarray, y: np.ndarray, kind: str, strength: float) -> Predict:
    from sklearn.linear_model import LogisticRegression, PoissonRegressor, RidgeCV

    if not x.shape[1] or len(np.unique(y)) < 2:
        return constant(x, y, kind, 0)
    if kind == "binary":
        classifier = LogisticRegression(C=strength, max_iter=500).fit(x, y)
        return lambda rows: classifier.predict_proba(rows)[:, 1]
    if kind == "count":
        # A mean far above all that was seen is a line that went on too long.
        counts = PoissonRegressor(alpha=1.0 / (strength * len(y)), max_iter=500).fit(x, y)
        return lambda rows: np.minimum(counts.predict(rows), y.max())
    ridge = RidgeCV(alphas=ALPHAS).fit(x, y)
    return lambda rows: ridge.predict(rows)


def boosted(x: np.ndarray, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Gradient boosting of small trees."""
    return _boosted(x, y, kind, seed, n_estimators=120, num_leaves=5)


def boosted_more(x: np.ndarray, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Gradient boosting of larger trees, for more rows and interactions of higher order."""
    return _boosted(x, y, kind, seed, n_estimators=250, num_leaves=15)


def _boosted(x: np.ndarray, y: np.ndarray, kind: str, seed: int, **size: int) -> Predict:
    from lightgbm import LGBMClassifier, LGBMRegressor

    if not x.shape[1] or len(np.unique(y)) < 2:
        return constant(x, y, kind, seed)
    given: dict[str, Any] = {
        "learning_rate": 0.06, "min_child_samples": 20, "reg_lambda": 5.0, "subsample": 0.8,
        "subsample_freq": 1, "colsample_bytree": 0.8, "random_state": seed, "n_jobs": 1, "deterministic":
        True, "force_row_wise": True, "verbose": -1, **size,
    }  # fmt: skip
    if kind == "binary":
        classifier = LGBMClassifier(**given).fit(x, y)
        return lambda rows: np.asarray(classifier.predict_proba(rows))[:, 1]
    if kind == "count":
        counts = LGBMRegressor(objective="poisson", **given).fit(x, y)
        return lambda rows: np.asarray(counts.predict(rows))
    mean, deviation = y.mean(), y.std()  # it reckons with so few digits that unit and origin would matter
    regressor = LGBMRegressor(**given).fit(x, (y - mean) / deviation)
    return lambda rows: mean + deviation * np.asarray(regressor.predict(rows))


LIBRARY: Mapping[str, Fit] = {
    "constant": constant,
    "linear": linear,
    "shrunk": shrunk,
    "curved": curved,
    "boosted": boosted,
    "boosted_more": boosted_more,
}
"""By name; what a nuisance is made of."""


def stack_weights(predictions: np.ndarray, y: np.ndarray, kind: str) -> np.ndarray:
    """Weights, none negative and together one, of models by what they predicted for rows they had not seen.

    "Short-stacking" (Ahrens, Hansen, Schaffer and Wiemann 2024): one set of weights over all folds of a
    cross-fit. Of a probability they are the most likely ones, otherwise those of the least squares.

    Args:
        predictions: (rows, models).
    """
    return _likeliest(predictions, y) if kind == "binary" else _least_squares(predictions, y)


def _least_squares(predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
    from scipy.optimize import nnls

    scale = y.std() or 1.0
    together = 1e3 * np.sqrt(len(y))  # a row that holds their sum at one
    rows = np.vstack([(predictions - y.mean()) / scale, np.full(predictions.shape[1], together)])
    weights, _ = nnls(rows, np.append((y - y.mean()) / scale, together))
    return weights / weights.sum()


def _likeliest(predictions: np.ndarray, y: np.ndarray, steps: int = 200) -> np.ndarray:
    """Of a mixture of probabilities, by expectation and maximisation."""
    p = np.clip(predictions, 1e-4, 1 - 1e-4)
    likelihood = np.where(y[:, None] == 1, p, 1 - p)
    weights = np.full(p.shape[1], 1 / p.shape[1])
    for _ in range(steps):
        mixture = likelihood @ weights
        weights = weights * (likelihood / mixture[:, None]).mean(axis=0)
    return weights / weights.sum()
