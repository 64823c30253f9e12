"""Bento bundle of a model of effects."""

from __future__ import annotations

import dagster as dg

from e2i_assets.assets.bento_bundle import Servable, bundle_stage, bundled
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluated
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult


def build_uplift_bundle(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/bento_bundle` of an effect."""

    def bento_bundle(
        context: StageContext, splits: Splits, model: UpliftModel, evaluation: UpliftEvaluated
    ) -> StageResult:
        figures = {"test_average_effect": evaluation.evaluation.average.value}
        served = Servable(model, model.answer(), evaluation.model_fingerprint, figures)
        return bundled(context, scope, splits, served)

    return bundle_stage(scope)(bento_bundle)
