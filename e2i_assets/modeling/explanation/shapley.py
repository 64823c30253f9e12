"""SHAP values of a trained pipeline by raw feature: its columns (levels, gaps) are added up; values and base
make the model's score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from e2i_assets.cohorts.small_cells import MINIMUM_CELL_COUNT, Cells
from e2i_assets.modeling.errors import ModelingError
from e2i_assets.modeling.explanation.contributions import Bare, bare, summed
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
    """A pipeline taken apart: what is done to raw rows, and what makes a score of them."""

    preprocessor: ColumnTransformer
    model: Bare

    @property
    def additive(self) -> bool:
        """Whether it adds its features up, so that none interacts with another."""
        return self.model.additive

    def score(self, X: pd.DataFrame) -> np.ndarray:
        """The score of raw rows, shape (rows, outputs)."""
        return self.model.score(self.preprocessor.transform(X))


def scored(pipeline: Pipeline) -> Scored:
    """Take a pipeline apart.

    Raises:
        NotExplainedError: the model is none of those that are known.
    """
    try:
        return Scored(pipeline[0], bare(pipeline[-1]))
    except NotImplementedError as error:
        raise NotExplainedError(str(error)) from None


def attribute(pipeline: Pipeline, X: pd.DataFrame, background: pd.DataFrame) -> Attribution:
    """SHAP values of raw rows.

    Args:
        background: raw rows whose mean a linear model's values are distances from; trees do without.

    Raises:
        NotExplainedError: the model is none of those that are known.
    """
    taken = scored(pipeline)
    transform, model = taken.preprocessor.transform, taken.model
    reference = transform(background).mean(axis=0) if model.additive else None
    values, base = model.contributions(reference)(transform(X))
    names = tuple(str(name) for name in taken.preprocessor.feature_names_in_)
    return Attribution(summed(values, sources_of(taken.preprocessor), names), base, names, model.scale)


def served_explanation(
    pipeline: Pipeline, train: pd.DataFrame, *, minimum_cell_count: int = MINIMUM_CELL_COUNT
) -> dict[str, Any]:
    """What a bundle needs to take a prediction apart, as plain JSON; no row of a patient is in it.

    Args:
        train: with `patient_id` and the raw features.

    Returns:
        `scale`, the feature behind each column in `sources` and, of a linear model, the `reference` that its
        values are distances from: the means of train, of what is yes or no by counts of patients rounded to
        multiples of the minimum cell count. Else why there is nothing, under `unavailable`.
    """
    try:
        taken = scored(pipeline)
    except NotExplainedError as error:
        return {"unavailable": str(error)}
    if taken.model.is_forest and _work(taken.model.estimator) > SERVED_WORK:
        return {
            "unavailable": "its forest has too many leaves to be taken apart within a fraction of a second"
        }
    reference = None
    if taken.model.additive:
        X = train[[str(name) for name in taken.preprocessor.feature_names_in_]]
        transformed = taken.preprocessor.transform(X)
        reference = _reference(transformed, train["patient_id"].to_numpy(), minimum_cell_count)
    return {"scale": taken.model.scale, "sources": sources_of(taken.preprocessor), "reference": reference}


def _reference(M: np.ndarray, patients: np.ndarray, minimum_cell_count: int) -> list[float]:
    cells = Cells(minimum_cell_count)
    all_patients = max(cells.rounded(len(np.unique(patients))), minimum_cell_count)

    def mean(column: np.ndarray) -> float:
        if not np.isin(column, (0.0, 1.0)).all():
            return round(float(column.mean()), 3)
        return min(1.0, cells.rounded(len(np.unique(patients[column == 1]))) / all_patients)

    return [mean(column) for column in M.T]


def affordable_rows(pipeline: Pipeline, most: int) -> int:
    """Rows that are explained within seconds: of a forest, leaves and depth decide."""
    model = scored(pipeline).model
    if not model.is_forest:
        return most
    return int(np.clip(WORK // max(_work(model.estimator), 1), min(LEAST_ROWS, most), most))


def _work(forest: Any) -> int:
    """Leaves times squared depth, which the time of a row goes with."""
    trees = [tree.tree_ for tree in forest.estimators_]
    return sum(tree.n_leaves for tree in trees) * max(tree.max_depth for tree in trees) ** 2


WORK = 5_000_000_000
"""So much that it takes a few seconds."""
SERVED_WORK = 50_000_000
"""So much that a request waits less than 0.2 s, and the first one less than a second."""
LEAST_ROWS = 50
