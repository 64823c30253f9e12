"""Cross-validation: the average effect by three libraries, on the same patients and folds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.scoped import SEED, stage_key
from e2i_assets.causal.cross_validation import CrossValidation
from e2i_assets.gates.cross_validation import LIBRARIES_AGREE, Compared
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.cross_validated import CrossValidated
from e2i_assets.modeling.uplift.estimate import EffectEstimate
from e2i_assets.modeling.uplift.rows import development
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.causal import record_causal_validation


def build_cross_validation(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/cross_validation`."""

    @stage(
        key=stage_key(scope, "cross_validation"),
        group=scope.name,
        scope=scope.name,
        description="Average effect by DoWhy, EconML and CausalML on the same patients, and their agreement.",
        kinds={"econml", "python"},
        warnings=(LIBRARIES_AGREE,),
        inputs={"splits": "splits", "estimate": stage_key(scope, "effect_estimate")},
        config=lambda context: {"scope": scope.model_dump(mode="json")},
    )
    def cross_validation(context: StageContext, splits: Splits, estimate: EffectEstimate) -> StageResult:
        validation = development(splits, scope).cross_validated(seed=SEED)
        record_causal_validation(context.warehouse, context.partition, scope.name, context.run_id, validation)
        return StageResult(
            CrossValidated(validation),
            warning_input=Compared(estimate.report, validation),
            metadata={
                "status": validation.status,
                "summary": validation.summary,
                "estimand": validation.estimand,
                "agreement_score": validation.agreement_score,
                "libraries": shown.table(_libraries(validation)),
                "patients": context.cells.figure(validation.rows),
                "patients_without_outcome": context.cells.figure(validation.without_outcome),
            },
        )

    return cross_validation


def _libraries(validation: CrossValidation) -> Iterator[dict[str, Any]]:
    for one in validation.libraries:
        effect = one.effect
        yield {
            "library": f"{one.library} {one.version}",
            "method": one.method,
            "effect": effect.estimate if effect else None,
            "95 %": f"{effect.low:.4g} to {effect.high:.4g}" if effect else one.error,
            "seconds": round(one.seconds, 2),
        }
