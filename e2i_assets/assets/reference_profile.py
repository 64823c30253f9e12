"""Reference profile: what a registered version was trained on, kept with it, so that it can be watched."""

from __future__ import annotations

import math
from collections.abc import Callable

import dagster as dg
import numpy as np
import pandas as pd

from e2i_assets.assets.scoped import labelled, stage_key
from e2i_assets.cohorts.cohort import Cohort, clusters_of
from e2i_assets.contracts.base import key_of
from e2i_assets.contracts.patients import HcpProfiles
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.metrics.calibration import calibration_bins
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.scopes.scope import PredictiveScope, Scope
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.monitoring.clusters import one_of_each
from e2i_assets.monitoring.model_profile import Baseline, ModelProfile, predictions_frame
from e2i_assets.monitoring.profile import ReferenceProfile
from e2i_assets.monitoring.watching import CLUSTER, IDEAL, TOLD
from e2i_assets.registry.errors import RegistryError
from e2i_assets.registry.registered import RegisteredModel
from e2i_assets.resources.store import Published
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.monitoring import has_profile, record_profile


def build_reference_profile(scope: PredictiveScope) -> dg.AssetsDefinition:
    """The asset `<scope>/reference_profile` of a prediction."""

    def reference_profile(
        context: StageContext,
        splits: Splits,
        model: TrainedModel,
        evaluation: Evaluated,
        registered: RegisteredModel,
        cohort: Cohort,
    ) -> StageResult:
        require_one_model(registered, model.fingerprint, evaluation.model_fingerprint)
        names = list(model.features)
        train, validation = (
            with_clusters(one_of_each(split, "patient_id"), cohort)
            for split in (splits.train, splits.validation)
        )
        known = labelled("validation", validation, names, scope)
        predicted = model.predict(known.X)
        clusters = validation.loc[known.X.index, CLUSTER]
        predicted_in_clusters = predictions_frame(predicted, model.labels).assign(
            **{CLUSTER: clusters.to_numpy()}
        )
        binary = predicted.ndim == 1 and scope.problem.of_classes
        result = evaluation.evaluation
        profile = ModelProfile(
            registered.model_name,
            registered.version,
            model.fingerprint,
            model.problem_type,
            model.labels,
            scope.target,
            # Those whose outcome is not known are among those who come later, too.
            ReferenceProfile.of(train, names, clusters=CLUSTER),
            ReferenceProfile.of(predicted_in_clusters, clusters=CLUSTER),
            tuple(one._asdict() for one in calibration_bins(known.y, predicted)) if binary else (),
            result.primary_metric,
            scope.problem.greater_is_better,
            {name: baseline_of(result, name) for name in (result.primary_metric, *IDEAL, *TOLD)
             if name in result.metrics["test"]},
            result.threshold,
        )  # fmt: skip
        mean = float(np.mean(predicted)) if predicted.ndim == 1 else None
        return profiled(context, profile, len(train), mean)

    return profile_stage(scope)(reference_profile)


def with_clusters(frame: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Rows by journey with `CLUSTER`: the HCP who treats the patient."""
    hcps = clusters_of(frame["patient_journey_id"], cohort.members, key_of(HcpProfiles))
    return frame.assign(**{CLUSTER: hcps})


def profile_stage(scope: Scope) -> Callable[[Callable[..., StageResult]], dg.AssetsDefinition]:
    """What makes the asset of a function of splits, model, evaluation, registered model and cohort."""
    stages = {"model": "trained_model", "evaluation": "evaluation", "registered": "registered_model"}
    return stage(
        key=stage_key(scope, "reference_profile"),
        group=scope.name,
        scope=scope.name,
        description="What the registered version was trained on and how it did, in figures without a row: "
        "what it is watched against.",
        kinds={"postgres"},
        inputs={
            "splits": "splits",
            **{name: stage_key(scope, key) for name, key in stages.items()},
            "cohort": "cohort",
        },
        config=lambda context: {"scope": scope.model_dump(mode="json")},
        lost=_lost,
    )


def profiled(context: StageContext, profile: ModelProfile, rows: int, mean: float | None) -> StageResult:
    """Publish a profile, and keep it with its version.

    Args:
        rows: of the training split.
        mean: of what is predicted.
    """
    of = profile.model_name, profile.version
    return StageResult(
        profile,
        metadata={
            "model_name": profile.model_name,
            "model_version": profile.version,
            "features": len(profile.features.columns),
            "training_patients": context.cells.figure(rows),
            "mean_prediction": mean,
        },
        on_publish=lambda: record_profile(context.warehouse, *of, profile.document(), context.run_id),
    )


def baseline_of(evaluation: Evaluation, metric: str) -> Baseline:
    """A metric on test, with its interval."""
    interval = evaluation.intervals["test"].get(metric)
    return Baseline(_finite(evaluation.metrics["test"].get(metric)), *map(_finite, interval or (None, None)))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def require_one_model(registered: RegisteredModel, *fingerprints: str) -> None:
    """Check that the registered version is the model that is published and evaluated.

    Raises:
        RegistryError: it is not.
    """
    if {registered.model_fingerprint} != set(fingerprints):
        raise RegistryError(
            f"{registered.model_name} version {registered.version} is not the model that is published and "
            "evaluated now",
            "Register the published model first.",
            code="other_model",
        )


def _lost(context: StageContext, current: Published) -> str | None:
    """Whether the registry has no profile of the version any more."""
    profile = context.open(current, ModelProfile)
    if has_profile(context.warehouse, profile.model_name, profile.version):
        return None
    return f"{profile.model_name} version {profile.version} has no profile in the registry"
