"""The shape that modelling works on: a labelled split, and whether it has the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.magnitudes import MEND_NUMBERS, TOO_LARGE, too_large
from e2i_assets.modeling.preprocessing.target_encoding import training_matrix
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.training.fitting import Matrices


def require_features(name: str, frame: pd.DataFrame, features: Sequence[Feature]) -> None:
    """Check that a split has every feature, as numbers where the feature is one.

    Raises:
        TrainingDataError: a column is missing, or a numeric or boolean feature holds something else, or
            numbers that are infinite or beyond `LARGEST`.
    """
    absent = sorted({f.name for f in features} - set(frame.columns))
    if absent:
        raise TrainingDataError(f"{name}: feature columns {', '.join(absent)} are missing")
    other = [
        f"{f.name} ({frame[f.name].dtype})"
        for f in features
        if f.kind != "categorical" and not pd.api.types.is_numeric_dtype(frame[f.name])
    ]
    if other:
        raise TrainingDataError(f"{name}: features {', '.join(other)} must hold numbers")
    if large := too_large(frame, [f.name for f in features]):
        raise TrainingDataError(f"{name}: {large} hold {TOO_LARGE}", MEND_NUMBERS)


@dataclass(frozen=True, init=False)
class LabelledSplit:
    """Features and target of one split, rows in the same order.

    Attributes:
        name: which split, for error messages.
        X: the raw feature frame; columns beyond the features are ignored by the preprocessor.
        y: the target as its problem type has it, shape (rows,).
        problem: what the target is.
        patients: the patient of each row, shape (rows,); None where every row is another's.
    """

    name: str
    X: pd.DataFrame
    y: np.ndarray
    problem: Problem
    patients: np.ndarray | None

    def __init__(
        self,
        name: str,
        X: pd.DataFrame,
        y: Sequence[float] | np.ndarray | pd.Series,
        problem: Problem,
        patients: pd.Series | None = None,
    ) -> None:
        """Check that the target is complete and one of its problem type.

        Raises:
            TrainingDataError: lengths differ, or see `Problem.target`.
        """
        values = pd.Series(np.asarray(y))
        if len(values) != len(X):
            raise TrainingDataError(f"{name}: {len(X)} rows of features, {len(values)} of the target")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "y", problem.target(name, values))
        object.__setattr__(self, "problem", problem)
        object.__setattr__(self, "patients", None if patients is None else patients.to_numpy())


def transform(preprocessor: Any, train: LabelledSplit, validation: LabelledSplit) -> Matrices:
    """Both splits through a preprocessor that was fitted on train."""
    fitted_on = training_matrix(preprocessor, train.X, train.y, train.patients)
    return Matrices(fitted_on, train.y, preprocessor.transform(validation.X), validation.y)
