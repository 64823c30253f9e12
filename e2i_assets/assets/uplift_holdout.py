"""Holdout validation of a model of effects: the average effect beside that on test, by the endpoint."""

from __future__ import annotations

import dagster as dg

from e2i_assets.assets.deployment import Deployed
from e2i_assets.assets.holdout_validation import holdout_stage, require_same, validated
from e2i_assets.assets.scoped import SEED
from e2i_assets.causal.scores import Estimate
from e2i_assets.deployment.endpoint import ask
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.evaluation.holdout import HoldoutEvaluation, Measured, predictions
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluated, evaluate_uplift
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.modeling.uplift.rows import causal_rows, development
from e2i_assets.resources.vault import Opened
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult


def build_uplift_holdout(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/holdout_validation` of an effect."""

    def holdout_validation(
        context: StageContext,
        splits: Splits,
        model: UpliftModel,
        evaluation: UpliftEvaluated,
        deployed: Deployed,
    ) -> StageResult:
        require_same(deployed, model.fingerprint, evaluation.model_fingerprint)
        test = evaluation.evaluation

        def judge(opened: Opened) -> HoldoutEvaluation:
            rows = causal_rows([opened.frame], splits.features, scope)
            features = [feature for feature in splits.features if feature.name in model.features]
            url = context.settings.service_url(deployed.service)
            known = rows.with_outcome.frame
            answers = ask(url, deployed.model_name, deployed.version, known, features)
            effects = predictions(answers, ())
            minimum = context.quality.minimum_cell_count
            result = evaluate_uplift(
                model, rows, development(splits, scope), seed=SEED, minimum=minimum, effects=effects
            )
            figures = {"average effect": _figure(result.average)}
            if result.qini:
                figures |= {"qini": _figure(result.qini.qini), "auuc": _figure(result.qini.auuc)}
            return HoldoutEvaluation(
                deployed.model_name, deployed.version, model.fingerprint, "average effect", None,
                figures["average effect"], _figure(test.average), figures, result.rows,
                dict(result.unavailable),
            )  # fmt: skip

        return validated(context, scope, splits, deployed, judge)

    return holdout_stage(scope)(holdout_validation)


def _figure(estimate: Estimate) -> Measured:
    return Measured(float(estimate.value), float(estimate.low), float(estimate.high))
