"""The shapes that modelling works on: a labelled split, and what it must know of a feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from e2i_assets.modeling.errors import MORE_OF_THE_RARER, TrainingDataError

FeatureKind = Literal["numeric", "categorical", "boolean"]


class FeatureLike(Protocol):
    """What modelling needs to know of a feature."""

    @property
    def name(self) -> str:
        """Column of the feature frame."""

    @property
    def kind(self) -> FeatureKind:
        """Decides the preprocessing."""


def require_features(name: str, frame: pd.DataFrame, features: Sequence[FeatureLike]) -> None:
    """Check that a split has every feature, as numbers where the feature is one.

    Raises:
        TrainingDataError: a column is missing, or a numeric or boolean feature holds something else.
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


@dataclass(frozen=True, init=False)
class LabelledSplit:
    """Features and binary target of one split, rows in the same order.

    Attributes:
        name: which split, for error messages.
        X: the raw feature frame; columns beyond the features are ignored by the preprocessor.
        y: 0/1 as int8, shape (rows,).
        patients: the patient of each row, shape (rows,); None where every row is another's.
    """

    name: str
    X: pd.DataFrame
    y: np.ndarray
    patients: np.ndarray | None

    def __init__(
        self,
        name: str,
        X: pd.DataFrame,
        y: Sequence[float] | np.ndarray | pd.Series,
        patients: pd.Series | None = None,
    ) -> None:
        """Check that the target is binary and complete.

        Raises:
            TrainingDataError: lengths differ, a null or a value other than 0 and 1, or one class only.
        """
        values = pd.to_numeric(pd.Series(np.asarray(y)), errors="coerce")
        if len(values) != len(X):
            raise TrainingDataError(f"{name}: {len(X)} rows of features, {len(values)} of the target")
        bad = int((~values.isin([0, 1])).sum())
        if bad:
            raise TrainingDataError(f"{name}: the target of {bad} of {len(values)} rows is neither 0 nor 1")
        positive = int(values.sum())
        if positive in (0, len(values)):
            raise TrainingDataError(
                f"{name}: {positive} of {len(values)} rows are positive; a classifier needs both outcomes",
                MORE_OF_THE_RARER,
            )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "y", values.to_numpy(dtype=np.int8))
        object.__setattr__(self, "patients", None if patients is None else patients.to_numpy())
