"""Registered model of an effect; the constant effect is registered as any other."""

from __future__ import annotations

import dagster as dg

from e2i_assets.assets.registered_model import Evidence, finite, registered, registration_stage
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.cross_validated import CrossValidated
from e2i_assets.modeling.uplift.estimate import EffectEstimate
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluated
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult


def build_registered_effect(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/registered_model` of an effect."""

    def registered_model(
        context: StageContext,
        bundle: BundleRef,
        evaluation: UpliftEvaluated,
        estimate: EffectEstimate,
        validation: CrossValidated,
    ) -> StageResult:
        evidence = evidence_of_effect(estimate, validation)
        return registered(context, scope, bundle, evidence, evaluation.evaluation.rows)

    stages = {"estimate": "effect_estimate", "validation": "cross_validation"}
    return registration_stage(scope, **stages)(registered_model)


def evidence_of_effect(estimate: EffectEstimate, validation: CrossValidated) -> Evidence:
    """What was found of an average effect, by the names that rules have for it."""
    effect, overlap = estimate.report.effect, estimate.report.overlap
    arms = (overlap.effective_treated, overlap.effective_control) if overlap else ()
    return {
        "interval_width": finite(effect.high - effect.low) if effect else None,
        "effective_samples": finite(min(arms)) if arms else None,
        "share_outside": finite(overlap.share_outside) if overlap else None,
        "refuted": None if estimate.refutation is None else len(estimate.refutation.failed),
        "agreement": finite(validation.validation.agreement_score),
    }
