"""The assets of one scope, from the model candidate to the bundle: one factory builds them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from e2i_assets.assets.attribute_names import LEAKAGE, UNAUDITED
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.magnitudes import MEND_NUMBERS, TOO_LARGE, too_large
from e2i_assets.modeling.scopes.answerable import Answerability, assess
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.stages.context import StageContext

SEED = 42


def stage_key(scope: Scope, stage: str) -> dg.AssetKey:
    """Asset key of a stage of a scope; which stages there are stands in `build.py`."""
    return dg.AssetKey([scope.name, stage])


def feature_names(splits: Splits, scope: Scope) -> list[str]:
    """The features that a scope's model sees."""
    return [feature.name for feature in splits.features if feature.name not in scope.features.exclude]


def followup_days(cohort: CohortConfig) -> int | None:
    """The window that a cohort is followed for after the index date; None where it asks for none."""
    return cohort.temporal_requirements.followup_days if cohort.temporal_requirements else None


def outcomes_of(config_dir: Path, cohort: CohortConfig) -> dict[str, str]:
    """Every column that is the target of a scope of a cohort, to the scope's name."""
    scopes = load_scopes(config_dir / "scopes")
    return {scopes[name].target: name for name in cohort.scopes}


def evidence_config(context: StageContext) -> dict[str, Any]:
    """What else than the splits decides whether a scope can be answered."""
    return {
        "followup_days": followup_days(context.cohort_config),
        "outcomes": outcomes_of(context.settings.config_dir, context.cohort_config),
    }


def evidence_of(context: StageContext, scope: Scope, splits: Splits) -> Answerability:
    """What there is to answer a scope with.

    Args:
        context: of a stage that has the splits as an input, and `evidence_config` in its configuration.
    """
    attributes = context.inputs["splits"].attributes
    return assess(
        scope,
        splits.train,
        splits.validation,
        splits.features,
        followup_days=context.config["followup_days"],
        outcomes=context.config["outcomes"],
        audited=attributes.get(LEAKAGE, {}),
        unaudited=attributes.get(UNAUDITED, {}),
    )


def labelled(name: str, frame: pd.DataFrame, features: list[str], scope: Scope) -> LabelledSplit:
    """Features and target of one split; patients whose outcome is not known are left out.

    Raises:
        TrainingDataError: a column is missing or holds numbers too large to be modelled, or the target is not
            one of the scope's problem type.
    """
    if absent := sorted({*features, scope.target} - set(frame.columns)):
        raise TrainingDataError(f"{name}: columns {', '.join(absent)} are missing")
    if large := too_large(frame, features):
        raise TrainingDataError(f"{name}: {large} hold {TOO_LARGE}", MEND_NUMBERS)
    known = frame[frame[scope.target].notna()]
    return LabelledSplit(name, known[features], known[scope.target], scope.problem, known.get("patient_id"))
