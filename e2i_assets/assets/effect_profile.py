"""Reference profile of a model of effects: whom it was trained on, who was treated, and what it told."""

from __future__ import annotations

import dagster as dg
import numpy as np
import pandas as pd

from e2i_assets.assets.reference_profile import profile_stage, profiled, require_one_model, with_clusters
from e2i_assets.assets.scoped import SEED
from e2i_assets.causal.report import Effect
from e2i_assets.causal.scores import Estimate
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluated, UpliftEvaluation
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.modeling.uplift.rows import CausalRows, causal_rows
from e2i_assets.monitoring.clusters import one_of_each
from e2i_assets.monitoring.effects import AVERAGE, BEYOND_PREDICTED, QINI, assigned, assignment_baselines
from e2i_assets.monitoring.model_profile import PROPENSITY, Baseline, ModelProfile
from e2i_assets.monitoring.profile import ReferenceProfile
from e2i_assets.monitoring.watching import CLUSTER
from e2i_assets.registry.registered import RegisteredModel
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult


def build_effect_profile(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/reference_profile` of an effect."""

    def reference_profile(
        context: StageContext,
        splits: Splits,
        model: UpliftModel,
        evaluation: UpliftEvaluated,
        registered: RegisteredModel,
        cohort: Cohort,
    ) -> StageResult:
        require_one_model(registered, model.fingerprint, evaluation.model_fingerprint)
        train = with_clusters(one_of_each(splits.train, "patient_id"), cohort)
        rows = causal_rows([train], splits.features, scope).clustered(cohort.members)
        assignment, propensity = assigned(model, rows, seed=SEED)
        profile = ModelProfile(
            registered.model_name,
            registered.version,
            model.fingerprint,
            scope.problem_type,
            (),
            scope.target,
            ReferenceProfile.of(watched_columns(model, rows, propensity), clusters=CLUSTER),
            ReferenceProfile.from_document(evaluation.predicted or {"rows": 0, "columns": {}}),
            (),
            QINI,
            True,
            baselines(evaluation.evaluation, model.average)
            | assignment_baselines(rows.t, propensity, rows.cluster_numbers),
            assignment=assignment,
        )
        return profiled(context, profile, len(train), model.average.estimate)

    return profile_stage(scope)(reference_profile)


def watched_columns(model: UpliftModel, rows: CausalRows, propensity: np.ndarray) -> pd.DataFrame:
    """What is watched of patients whose outcomes need not be known."""
    columns = [*model.features, model.treatment, CLUSTER]
    return rows.frame[columns].assign(**{PROPENSITY: propensity})


def baselines(evaluation: UpliftEvaluation, average: Effect) -> dict[str, Baseline]:
    """What the version told on test, and the average effect as it was published."""
    ranked = evaluation.qini.qini if evaluation.qini else None
    figures = {BEYOND_PREDICTED: evaluation.beyond_predicted, QINI: ranked}
    return {AVERAGE: Baseline(average.estimate, average.low, average.high)} | {
        name: _baseline(figure) for name, figure in figures.items() if figure is not None
    }


def _baseline(figure: Estimate) -> Baseline:
    return Baseline(*(float(one) if np.isfinite(one) else None for one in figure))
