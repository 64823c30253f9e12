"""Model card: the page that a person reads who has to answer for a model."""

from __future__ import annotations

import json

import dagster as dg

from e2i_assets.assets.attribute_names import EXPLANATION, MLFLOW_RUN, PREPROCESSOR_GATES
from e2i_assets.assets.scoped import stage_key
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.html_pages import template_hash
from e2i_assets.json_files import from_json
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.card.page import TEMPLATE, model_card
from e2i_assets.modeling.card.records import CARD_FILE, CardRecords, require_evaluated
from e2i_assets.modeling.card.tripod import checklist
from e2i_assets.modeling.card.tripod_answers import answers
from e2i_assets.modeling.explanation.explain import Explanation
from e2i_assets.modeling.scopes.scope import PredictiveScope
from e2i_assets.modeling.selection.candidate import ModelCandidate
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.modeling.tuning.study import TunedParams
from e2i_assets.quality.report import QCReport
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage


def build_model_card(scope: PredictiveScope) -> dg.AssetsDefinition:
    """The asset `<scope>/model_card`."""

    @stage(
        key=stage_key(scope, "model_card"),
        group=scope.name,
        scope=scope.name,
        description="What the model is for, how it was made and judged, and its limits: one page.",
        kinds={"html", "mlflow"},
        inputs={
            "qc_report": "qc_report",
            "cohort": "cohort",
            "splits": "splits",
            "candidate": stage_key(scope, "model_candidate"),
            "tuned": stage_key(scope, "tuned_params"),
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
        qc_report: QCReport,
        cohort: Cohort,
        splits: Splits,
        candidate: ModelCandidate,
        tuned: TunedParams,
        model: TrainedModel,
        evaluation: Evaluated,
    ) -> StageResult:
        require_evaluated(model.fingerprint, evaluation.model_fingerprint)
        trained = context.inputs["model"]
        named = {published.asset: published for published in context.inputs.values()}
        records = CardRecords(
            scope=scope,
            cohort=context.cohort_config,
            attrition=cohort.result,
            quality=qc_report,
            splits=splits,
            candidate=candidate,
            tuned=tuned,
            model=model,
            evaluated=evaluation,
            versions={asset: published.version for asset, published in named.items()},
            gates={asset: published.gates for asset, published in named.items() if published.gates}
            | {f"{scope.name}/preprocessor": trained.attributes.get(PREPROCESSOR_GATES, {})},
            explanation=from_json(Explanation, json.loads(trained.attributes[EXPLANATION])),
            cells=Cells(context.quality.minimum_cell_count),
        )
        made = model_card(records)
        page = context.tracking.add(
            trained.attributes[MLFLOW_RUN], files={"model_card": {CARD_FILE: made.page.encode()}}
        )
        items = checklist(answers(records))
        return StageResult(
            made,
            metadata={
                "model": model.fingerprint[:16],
                "mlflow_run": dg.MetadataValue.url(page),
                "tripod_ai_open": ", ".join(item.number for item in items if item.answer is None),
            },
            pages={"card": CARD_FILE},
        )

    return card
