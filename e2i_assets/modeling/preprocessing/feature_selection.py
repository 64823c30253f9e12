"""Which features a model gets: chosen on the rows that it is fitted on, so that no other row has a say.

Raw features are chosen, never columns of the preprocessor: a model asks for what it was given, and for
nothing else. The same rows give the same choice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from e2i_assets.cohorts.small_cells import MINIMUM_CELL_COUNT
from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import require_features
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.preprocessing.feature_rules import FeatureSelection
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor, sources_of
from e2i_assets.modeling.preprocessing.target_encoding import training_matrix
from e2i_assets.modeling.problems.base import Problem

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

TREES, DEPTH = 50, 10
"""Of the forest that ranks features, from the guide."""


@dataclass(frozen=True)
class ChosenFeatures:
    """The features that are kept, in their order, and why each other one is not."""

    kept: tuple[Feature, ...]
    removed: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Of the kept ones."""
        return [feature.name for feature in self.kept]


def choose_features(
    X: pd.DataFrame,
    y: np.ndarray,
    features: Sequence[Feature],
    selection: FeatureSelection,
    *,
    problem: Problem,
    seed: int,
    patients: np.ndarray | None = None,
    minimum_cell_count: int = MINIMUM_CELL_COUNT,
    required: Collection[str] = (),
) -> ChosenFeatures:
    """Choose among the features on the rows of train, or of a fold of it, alone.

    Args:
        X, y: raw features and target, as the problem type has it.
        seed: of the forest.
        patients, minimum_cell_count: as for `fit_preprocessor`.
        required: features that no rule leaves out.

    Raises:
        TrainingDataError: a feature is not a column or is no number, or none is left.
    """
    require_features("train", X, features)
    removed: dict[str, str] = {}

    def left() -> list[Feature]:
        return [f for f in features if f.name in required or f.name not in removed]

    removed |= _same(X, left(), selection.max_same)
    removed |= _copies(X, left())
    if selection.max_correlation is not None:
        removed |= _redundant(X, y, left(), selection.max_correlation, problem)
    if selection.top_k is not None and selection.top_k < len(left()):
        fitted = fit_preprocessor(
            X,
            left(),
            y=y,
            classes=problem.stratified,
            patients=patients,
            minimum_cell_count=minimum_cell_count,
        )
        shares = _importance(fitted, training_matrix(fitted, X, y, patients), y, problem, seed)
        removed |= _unimportant(left(), shares, selection.top_k)
    if not left():
        raise TrainingDataError(
            f"train: each of {len(features)} features has one value only, so there is nothing to learn from",
            "Look at the cohort's features, and at features.selection of the scope.",
        )
    return ChosenFeatures(tuple(left()), {n: why for n, why in removed.items() if n not in required})


def _same(X: pd.DataFrame, features: Sequence[Feature], limit: float) -> dict[str, str]:
    removed = {}
    for feature in features:
        share = _largest_share(X[feature.name], limit)
        if share >= limit:
            removed[feature.name] = (
                "the same in all of train" if share == 1 else f"the same in {share:.1%} of train"
            )
    return removed


def _largest_share(values: pd.Series, limit: float) -> float:
    """Share of the most frequent value; 0 stands for less than 1 where only constants are asked for."""
    if limit == 1:
        first = values.iloc[0]
        constant = values.isna().all() if pd.isna(first) else values.eq(first).all()
        return float(constant)
    return float(values.value_counts(normalize=True, dropna=False).iloc[0])


def _copies(X: pd.DataFrame, features: Sequence[Feature]) -> dict[str, str]:
    """Features that tell rows apart exactly as an earlier one does: levels may have other names."""
    first: dict[tuple[str, bytes], str] = {}
    removed = {}
    for feature in features:
        if feature.kind == "categorical":
            content = pd.factorize(X[feature.name])[0].tobytes()
        else:
            content = (
                pd.util.hash_pandas_object(X[feature.name].astype(float), index=False).to_numpy().tobytes()
            )
        original = first.setdefault((feature.kind, content), feature.name)
        if original != feature.name:
            removed[feature.name] = f"a copy of {original}"
    return removed


def _redundant(
    X: pd.DataFrame, y: np.ndarray, features: Sequence[Feature], limit: float, problem: Problem
) -> dict[str, str]:
    """From the feature that says most about the target down, each that correlates with one before it."""
    numeric = [feature.name for feature in features if feature.kind != "categorical"]
    filled = X[numeric].astype(float).fillna(X[numeric].median())
    # One that only its gaps tell apart correlates with nothing.
    filled = filled.loc[:, filled.nunique() > 1]
    names = list(filled.columns)
    if len(names) < 2:
        return {}
    correlations = np.abs(np.corrcoef(filled.to_numpy(), rowvar=False))
    strength = _association(filled.rank().to_numpy(), y, problem)
    chosen: list[int] = []
    removed = {}
    for i in sorted(range(len(names)), key=lambda i: -strength[i]):
        closest = max(chosen, key=lambda other: correlations[i, other], default=i)
        if closest != i and correlations[i, closest] > limit:
            removed[names[i]] = f"correlates {correlations[i, closest]:.3f} with {names[closest]}"
        else:
            chosen.append(i)
    return removed


def _association(ranks: np.ndarray, y: np.ndarray, problem: Problem) -> np.ndarray:
    """How much each column's ranks say about the target: F of an analysis of variance, or of a regression."""
    from sklearn.feature_selection import f_classif, f_regression

    test = f_classif if problem.stratified else f_regression
    return np.asarray(test(ranks, y)[0])


def _importance(
    fitted: ColumnTransformer, matrix: np.ndarray, y: np.ndarray, problem: Problem, seed: int
) -> pd.Series:
    """Share of each feature in the impurity that a small forest takes away."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if problem.stratified else RandomForestRegressor
    forest = kind(n_estimators=TREES, max_depth=DEPTH, min_samples_leaf=5, random_state=seed, n_jobs=1)
    forest.fit(matrix, y)
    return pd.Series(forest.feature_importances_).groupby(sources_of(fitted)).sum()


def _unimportant(features: Sequence[Feature], shares: pd.Series, top_k: int) -> dict[str, str]:
    ranked = sorted(features, key=lambda feature: -shares[feature.name])
    return {
        feature.name: f"rank {place} of {len(features)} by importance, {shares[feature.name]:.3f} of it"
        for place, feature in enumerate(ranked, start=1)
        if place > top_k
    }
