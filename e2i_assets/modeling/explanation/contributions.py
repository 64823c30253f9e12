"""What each column adds to the score of a fitted estimator: SHAP values, exact for the kind of model it is.

Boosted trees and forests: path-dependent TreeSHAP (Lundberg 2020), by the boosters themselves and, of
forests, from their leaves. Linear models: coefficient times the distance from a reference (Lundberg 2017,
corollary 1). A copy travels inside every bundle: it knows no other module of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Contributions = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Bare:
    """What makes the score, without a calibration or a transformation of the target around it.

    Attributes:
        factor, offset: of the target's standardisation: the score times one and plus the other is in its
            units.
        scale: what the score is, in words.
    """

    estimator: Any
    factor: float
    offset: float
    scale: str

    @property
    def additive(self) -> bool:
        """Whether it adds its columns up, so that none interacts with another."""
        return hasattr(self.estimator, "coef_")

    @property
    def is_forest(self) -> bool:
        """Whether it is the mean of trees."""
        return not self.additive and not _is_booster(self.estimator)

    def score(self, M: np.ndarray) -> np.ndarray:
        """The score of transformed rows, shape (rows, outputs)."""
        return _score(self.estimator, M) * self.factor + self.offset

    def contributions(self, reference: np.ndarray | None) -> Contributions:
        """What tells of transformed rows how much each column adds, and the score before any is known.

        Args:
            reference: a transformed row, shape (columns,), that a linear model's values are distances from;
                trees do without.

        Returns:
            From rows to values of shape (rows, columns, outputs) and a base of shape (outputs,); of each row
            they add up to its score.
        """
        if self.additive:
            in_score = _of_linear(self.estimator, np.asarray(reference))
        elif _is_booster(self.estimator):
            in_score = _of_booster(self.estimator)
        else:
            in_score = _of_forest(self.estimator)

        def in_units(M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            values, base = in_score(M)
            return values * self.factor, base * self.factor + self.offset

        return in_units


def bare(estimator: Any) -> Bare:
    """Take a fitted estimator apart.

    Raises:
        NotImplementedError: it is none of those that this module knows.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.frozen import FrozenEstimator

    factor, offset, calibrated = 1.0, 0.0, isinstance(estimator, CalibratedClassifierCV)
    while isinstance(estimator, CalibratedClassifierCV | FrozenEstimator):
        estimator = estimator.estimator
    if isinstance(estimator, TransformedTargetRegressor):
        standard = estimator.transformer_
        factor, offset = float(standard.scale_[0]), float(standard.mean_[0])
        estimator = estimator.regressor_
    if not (hasattr(estimator, "coef_") or _is_booster(estimator) or hasattr(estimator, "estimators_")):
        raise NotImplementedError(f"{type(estimator).__name__} has no SHAP values here")
    scale = "target"
    if hasattr(estimator, "classes_"):
        scale = "probability" if hasattr(estimator, "estimators_") else "log-odds"
    return Bare(estimator, factor, offset, scale + " before calibration" * calibrated)


def summed(values: np.ndarray, sources: Sequence[str], features: Sequence[str]) -> np.ndarray:
    """Values of columns, shape (rows, columns, outputs), as those of the features that they come from.

    Args:
        sources: the feature behind each column.
    """
    of_feature = np.array([[source == name for source in sources] for name in features], dtype=float)
    return np.einsum("fc,rco->rfo", of_feature, values)


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


def _of_linear(estimator: Any, reference: np.ndarray) -> Contributions:
    coefficients = np.atleast_2d(estimator.coef_)  # outputs by columns
    base = np.atleast_1d(estimator.intercept_) + coefficients @ reference
    return lambda M: ((M - reference)[:, :, None] * coefficients.T[None], base)


def _of_booster(estimator: Any) -> Contributions:
    """The library's own: the last column is the base."""

    def contributions(M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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

    return contributions


def _of_forest(forest: Any) -> Contributions:
    """From the way to each leaf, on which a feature counts once however often it is asked.

    Of a leaf's value a feature on its way gets `o - z` times the integral over t from 0 to 1 of the product
    of `t o + (1 - t) z` of the others, where `o` is whether the row goes on and `z` which share of train
    did: so Shapley's sum over their subsets can be written, and Gauss and Legendre integrate it exactly.
    The `shap` library gives the same, but takes seconds and 100 MB to be imported.
    """
    ways = list(_ways([member.tree_ for member in forest.estimators_]))
    two_classes = hasattr(forest, "classes_") and len(forest.classes_) == 2
    outcomes = [way.value[:, 1:] if two_classes else way.value for way in ways]
    base = np.sum([way.share.prod(axis=1) @ of for way, of in zip(ways, outcomes, strict=True)], axis=0)

    def of_row(x: np.ndarray) -> np.ndarray:
        values = np.zeros((len(x), base.size))
        for way, outcome in zip(ways, outcomes, strict=True):
            amount = way.amounts(x.astype(np.float32))  # as the trees compare
            for output, of in enumerate(outcome.T):
                values[:, output] += np.bincount(way.column.ravel(), (amount * of[:, None]).ravel(), len(x))
        return values

    return lambda M: (np.stack([of_row(x) for x in M]), base)


@dataclass(frozen=True)
class _Ways:
    """Ways of so many features to leaves: arrays of shape (leaves, features).

    Attributes:
        column: which are asked.
        low, high: a row goes on where it is above the one and not above the other.
        share: of the rows of train, those that went on.
        value: of the leaf, over the number of trees, shape (leaves, outputs).
    """

    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    share: np.ndarray
    value: np.ndarray

    def amounts(self, x: np.ndarray) -> np.ndarray:
        """Which part of a leaf's value each feature gets."""
        values = x[self.column]
        goes = ((self.low < values) & (values <= self.high)).astype(float)
        points, weights = np.polynomial.legendre.leggauss(max(1, (self.column.shape[1] + 1) // 2))
        integral = np.zeros(goes.shape)
        for t, weight in zip((1 + points) / 2, weights / 2, strict=True):
            factors = t * goes + (1 - t) * self.share
            integral += weight * factors.prod(axis=1, keepdims=True) / factors
        return (goes - self.share) * integral


def _ways(trees: Sequence[Any]) -> Iterator[_Ways]:
    """The ways to all leaves of all trees, those of as many features together; a step down at a time."""
    sizes = [tree.node_count for tree in trees]
    first = np.repeat(np.cumsum([0, *sizes])[:-1], sizes)

    def of_nodes(name: str) -> np.ndarray:
        return np.concatenate([getattr(tree, name) for tree in trees])

    feature, threshold, weight = map(of_nodes, ("feature", "threshold", "weighted_n_node_samples"))
    children = [of_nodes(name) for name in ("children_left", "children_right")]
    node = np.cumsum([0, *sizes])[:-1]
    shape = (len(node), max([1, *(tree.max_depth for tree in trees)]))
    column = np.full(shape, -1)
    low, high, share = (np.full(shape, fill) for fill in (-np.inf, np.inf, 1.0))
    ended = []
    while len(node):
        leaf = children[0][node] < 0
        ended.append([of[leaf] for of in (node, column, low, high, share)])
        node, column, low, high, share = (of[~leaf] for of in (node, column, low, high, share))
        rows, asked = np.arange(len(node)), feature[node]
        same = column == asked[:, None]
        place = np.where(same.any(axis=1), same.argmax(axis=1), (column >= 0).sum(axis=1))
        column[rows, place] = asked
        to = [of[node] + first[node] for of in children]
        lows, highs, shares = ([of.copy(), of.copy()] for of in (low, high, share))
        highs[0][rows, place] = np.minimum(high[rows, place], threshold[node])
        lows[1][rows, place] = np.maximum(low[rows, place], threshold[node])
        for side in (0, 1):
            shares[side][rows, place] *= weight[to[side]] / weight[node]
        node, column = np.concatenate(to), np.concatenate([column, column])
        low, high, share = map(np.concatenate, (lows, highs, shares))
    node, column, low, high, share = (np.concatenate(of) for of in zip(*ended, strict=True))
    value = np.concatenate([tree.value[:, 0, :] for tree in trees]) / len(trees)
    features = (column >= 0).sum(axis=1)
    for number in np.unique(features):
        these = features == number
        column_, low_, high_, share_ = (of[these, :number] for of in (column, low, high, share))
        yield _Ways(column_, low_, high_, share_, value[node[these]])
