"""The assets of one scope, from the model candidate to the bundle: one factory builds them all."""

from __future__ import annotations

import dagster as dg
import pandas as pd

from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.scope import Scope

SEED = 42


def stage_key(scope: Scope, stage: str) -> dg.AssetKey:
    """Asset key of a stage of a scope; which stages there are stands in `build.py`."""
    return dg.AssetKey([scope.name, stage])


def feature_names(splits: Splits, scope: Scope) -> list[str]:
    """The features that a scope's model sees."""
    return [feature.name for feature in splits.features if feature.name not in scope.features.exclude]


def labelled(name: str, frame: pd.DataFrame, features: list[str], scope: Scope) -> LabelledSplit:
    """Features and target of one split; patients whose outcome is not known are left out.

    Raises:
        TrainingDataError: a column is missing, or the target is not one of the scope's problem type.
    """
    if absent := sorted({*features, scope.target} - set(frame.columns)):
        raise TrainingDataError(f"{name}: columns {', '.join(absent)} are missing")
    known = frame[frame[scope.target].notna()]
    return LabelledSplit(name, known[features], known[scope.target], scope.problem, known.get("patient_id"))
