"""Card of a model of effects: the page that a person reads who has to answer for it."""

from __future__ import annotations

import dagster as dg

from e2i_assets.assets.attribute_names import MLFLOW_RUN
from e2i_assets.assets.scoped import stage_key
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.html_pages import template_hash
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.card.records import CARD_FILE, require_evaluated
from e2i_assets.modeling.card.uplift import TEMPLATE, UpliftRecords, uplift_card
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.cross_validated import CrossValidated
from e2i_assets.modeling.uplift.estimate import EffectEstimate
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluated
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage


def build_uplift_card(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/model_card`."""

    @stage(
        key=stage_key(scope, "model_card"),
        group=scope.name,
        scope=scope.name,
        description="What is estimated, what must hold for it, how far it can be trusted: one page.",
        kinds={"html", "mlflow"},
        inputs={
            "cohort": "cohort",
            "splits": "splits",
            "estimate": stage_key(scope, "effect_estimate"),
            "validation": stage_key(scope, "cross_validation"),
            "model": stage_key(scope, "trained_model"),
            "evaluation": stage_key(scope, "evaluation"),
        },
        config=lambda context: {
            "scope": scope.model_dump(mode="json"),
            "cohort_config": context.cohort_config.model_dump(mode="json"),
            "minimum_cell_count": context.quality.minimum_cell_count,
            "template": template_hash(TEMPLATE),
        },
    )
    def card(
        context: StageContext,
        cohort: Cohort,
        splits: Splits,
        estimate: EffectEstimate,
        validation: CrossValidated,
        model: UpliftModel,
        evaluation: UpliftEvaluated,
    ) -> StageResult:
        require_evaluated(model.fingerprint, evaluation.model_fingerprint)
        named = {published.asset: published for published in context.inputs.values()}
        made = uplift_card(
            UpliftRecords(
                scope=scope,
                cohort=context.cohort_config,
                attrition=cohort.result,
                splits=splits,
                report=estimate.report,
                refutation=estimate.refutation,
                validation=validation.validation,
                model=model,
                evaluation=evaluation.evaluation,
                versions={asset: published.version for asset, published in named.items()},
                gates={asset: published.gates for asset, published in named.items() if published.gates},
                cells=Cells(context.quality.minimum_cell_count),
            )
        )
        page = context.tracking.add(
            context.inputs["model"].attributes[MLFLOW_RUN],
            files={"model_card": {CARD_FILE: made.page.encode()}},
        )
        return StageResult(
            made,
            metadata={"model": model.fingerprint[:16], "mlflow_run": dg.MetadataValue.url(page)},
            pages={"card": CARD_FILE},
        )

    return card
