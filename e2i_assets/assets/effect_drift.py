"""Drift report of a model of effects: who came since, who was treated, and whether effects came true."""

from __future__ import annotations

import dagster as dg
import numpy as np
import pandas as pd

from e2i_assets.assets.drift_report import (
    Since,
    asked_of,
    clusters_predicted,
    logged,
    model_in_use,
    reported,
    watching_stage,
    what_came,
)
from e2i_assets.assets.effect_profile import watched_columns
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.features import FeatureSet
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.modeling.uplift.rows import CausalRows, causal_rows
from e2i_assets.monitoring.drift import MINIMUM_ROWS
from e2i_assets.monitoring.effects import (
    ASSUMPTION,
    assignment_figures,
    effect_figures,
    predicted_average,
    prepared,
)
from e2i_assets.monitoring.model_profile import PROPENSITY, Assignment, ModelProfile
from e2i_assets.monitoring.performance import Figure
from e2i_assets.monitoring.watching import Seen, Watched, watched
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult

NO_MODEL = "how the version that answers was made is not on record"


def build_effect_drift(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/drift_report` of an effect."""

    def drift_report(
        context: StageContext, features: FeatureSet, newest: ModelProfile, cohort: Cohort
    ) -> StageResult:
        since = what_came(context, features, newest, cohort)
        new = since.new.merge(features.outcomes, on="patient_journey_id", how="left", validate="1:1")
        rows = causal_rows([new], features.features, scope).clustered(cohort.members)
        model = model_in_use(context, since, UpliftModel)
        return reported(context, scope, since, watched_effects(since, rows, model))

    return watching_stage(scope)(drift_report)


def watched_effects(since: Since, rows: CausalRows, model: UpliftModel | None) -> Watched:
    """What is found of a version.

    Args:
        rows: patients who came since.
        model: the version's; None where it cannot be had, and is judged by what it answered alone.
    """
    profile, asked = since.profile, asked_of(since.answers)
    of_requests = logged(profile, since.answers)
    if of_requests is not None and len(of_requests) < MINIMUM_ROWS:
        of_requests = None
    if model is None:
        clusters = clusters_predicted(of_requests, of_requests, since.answers, rows.frame)
        seen = Seen(rows.frame, asked, of_requests, clusters, left_out={PROPENSITY: NO_MODEL})
        return watched(profile, seen, (), {"effect": NO_MODEL}, "")
    effects = predicted_of(model, rows.frame)
    assert profile.assignment is not None
    propensity = propensity_of(model, profile.assignment, rows.frame)
    unavailable: dict[str, str] = {}
    known = rows.with_outcome
    figures: tuple[Figure, ...] = (
        *assignment_figures(profile, rows.t, propensity, rows.cluster_numbers),
        *predicted_average(profile, effects),
        *effect_figures(profile, known, predicted_of(model, known.frame), unavailable),
    )
    predicted = effects if of_requests is None else of_requests
    clusters = clusters_predicted(predicted, of_requests, since.answers, rows.frame)
    seen = Seen(watched_columns(model, rows, propensity), asked, predicted, clusters)
    return watched(profile, seen, figures, unavailable, ASSUMPTION)


def predicted_of(model: UpliftModel, frame: pd.DataFrame) -> np.ndarray:
    """Effect on each patient, shape (rows,)."""
    return model.predict(frame[list(model.features)])[0] if len(frame) else np.empty(0)


def propensity_of(model: UpliftModel, assignment: Assignment, frame: pd.DataFrame) -> np.ndarray:
    """Probability of the treatment of each patient, as it was at training, shape (rows,)."""
    return assignment.propensity(prepared(model, frame)) if len(frame) else np.empty(0)
