"""The assets of one scope, from the model candidate to the bundle: one factory builds them all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import dagster as dg
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.contracts.levels import GENERATED
from e2i_assets.ingest.synthetic.declared import DECLARED, Declared
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.magnitudes import MEND_NUMBERS, TOO_LARGE, too_large
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.resources.sealing import VaultError
from e2i_assets.stages.context import StageContext

if TYPE_CHECKING:
    import numpy as np

    from e2i_assets.modeling.uplift.rows import CausalRows

SEED = 42
T = TypeVar("T")


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


def test_told(context: StageContext, fingerprint: str, kind: TypeAdapter[T]) -> T | None:
    """What test told of a model when it was opened; None where it was not.

    Raises:
        VaultError: it is in another release's form.
    """
    record = context.vault.result(context.partition, "test", fingerprint)
    if record is None:
        return None
    try:
        return kind.validate_python(record)
    except ValidationError as error:
        raise VaultError(
            f"what test told of model {fingerprint[:16]} was recorded by another release, in a "
            "form that this one cannot read; test does not open for it again.",
            "Use that release for this model, or train another model.",
        ) from error


def generator_knows(context: StageContext) -> Declared | None:
    """What the generator of synthetic data knows; None where there are none."""
    current = context.store.current(DECLARED, GENERATED)
    return None if current is None else context.open(current, Declared)


def true_effects(declared: Declared, rows: CausalRows) -> np.ndarray | None:
    """The true effect on each of these patients; None where the generator knows none of theirs."""
    scope, journeys = rows.scope, rows.frame["patient_journey_id"]
    return declared.true_effects(scope.treatment, scope.target, journeys, rows.y)
