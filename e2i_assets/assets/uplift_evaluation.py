"""Evaluation of a model of effects: the test split, opened once for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import TypeAdapter

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import MLFLOW_RUN
from e2i_assets.assets.known_truth import generator_knows, test_told, true_effects
from e2i_assets.assets.reference_profile import with_clusters
from e2i_assets.assets.scoped import SEED, stage_key
from e2i_assets.assets.uplift_model import ends, segment_rows
from e2i_assets.causal.scores import Estimate
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.ingest.synthetic.declared import Declared
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.evaluation import (
    UpliftEvaluated,
    UpliftEvaluation,
    evaluate_uplift,
    evaluation_metrics,
)
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.modeling.uplift.plots import evaluation_plots
from e2i_assets.modeling.uplift.rows import CausalRows, causal_rows, development
from e2i_assets.monitoring.clusters import one_of_each
from e2i_assets.monitoring.model_profile import predictions_frame
from e2i_assets.monitoring.profile import ReferenceProfile
from e2i_assets.monitoring.watching import CLUSTER
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage

_RECORD = TypeAdapter(UpliftEvaluated)


def build_uplift_evaluation(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/evaluation`."""

    @stage(
        key=stage_key(scope, "evaluation"),
        group=scope.name,
        scope=scope.name,
        description="What the model of effects is worth on the test split, opened once for it.",
        kinds={"econml", "mlflow"},
        inputs={"splits": "splits", "cohort": "cohort", "model": stage_key(scope, "trained_model")},
        config=lambda context: {
            "scope": scope.model_dump(mode="json"),
            "minimum_cell_count": context.quality.minimum_cell_count,
        },
    )
    def evaluation(context: StageContext, splits: Splits, cohort: Cohort, model: UpliftModel) -> StageResult:
        evaluated = test_told(context, model.fingerprint, _RECORD) or _evaluate_once(
            context, scope, splits, cohort, model
        )
        result = evaluated.evaluation
        plots = evaluation_plots(result, context.cells)
        page = context.tracking.add(
            context.inputs["model"].attributes[MLFLOW_RUN],
            metrics=evaluation_metrics(result),
            files={"plots": plots},
        )
        return StageResult(
            evaluated,
            metadata={
                **evaluation_metadata(result),
                **{Path(name).stem: shown.image(png) for name, png in plots.items()},
                "mlflow_run": dg.MetadataValue.url(page),
            },
        )

    return evaluation


def _evaluate_once(
    context: StageContext, scope: CausalScope, splits: Splits, cohort: Cohort, model: UpliftModel
) -> UpliftEvaluated:
    declared, others = generator_knows(context), development(splits, scope)
    with context.vault.open(
        context.partition,
        "test",
        splits.seals["test"],
        model_fingerprint=model.fingerprint,
        purpose=f"{scope.name}/evaluation",
        run_id=context.run_id,
    ) as opened:
        test = causal_rows([opened.frame], splits.features, scope).clustered(cohort.members)
        result = evaluate_uplift(
            model,
            test,
            others,
            seed=SEED,
            minimum=context.quality.minimum_cell_count,
            truth=_truth(declared, test, others) if declared else None,
        )
        patients = with_clusters(one_of_each(test.frame, "patient_id"), cohort)
        predicted = predictions_frame(model.predict(patients[list(model.features)])[0], ())
        predicted[CLUSTER] = patients[CLUSTER].to_numpy()
        predictions = ReferenceProfile.of(predicted, clusters=CLUSTER)
        evaluated = UpliftEvaluated(result, model.fingerprint, predictions.document())
        opened.result = _RECORD.dump_python(evaluated, mode="json")
    return evaluated


def _truth(declared: Declared, test: CausalRows, others: CausalRows) -> Any:
    """True effects of test and of the others; None where they are not known."""
    both = true_effects(declared, test.with_outcome), true_effects(declared, others)
    return None if both[0] is None or both[1] is None else both


def evaluation_metadata(result: UpliftEvaluation) -> dict[str, Any]:
    """How an evaluation looks in Dagit: figures with their intervals, aggregates only."""
    truth = result.truth
    return {
        "algorithm": result.algorithm,
        "figures": shown.table(_figures(result)),
        "segments": shown.table(segment_rows(result.segments)),
        "calibration": shown.table(segment_rows(result.calibration)),
        **({} if truth is None else {"policy_regret": truth.regret, "true_average_effect": truth.average}),
        **(
            {}
            if truth is None or truth.correlation is None
            else {"correlation_with_truth": truth.correlation}
        ),
        **(
            {
                "unavailable": shown.table(
                    {"figure": name, "reason": reason} for name, reason in result.unavailable.items()
                )
            }
            if result.unavailable
            else {}
        ),
    }


def _figures(result: UpliftEvaluation) -> Iterator[dict[str, Any]]:
    share = f"treating {result.policy.share:.0%}"
    named: dict[str, Estimate | None] = {
        "average effect": result.average,
        "average effect less the predicted one": result.beyond_predicted,
        "Qini": result.qini.qini if result.qini else None,
        "AUUC": result.qini.auuc if result.qini else None,
        f"{share}: gain per patient": result.policy.gain,
        f"{share}: gain over as many by lot": result.policy.over_chance,
        f"{share}: mean outcome": result.policy.outcome,
    }
    for name, figure in named.items():
        if figure is not None:
            yield {"figure": name, "test": figure.value, "95 %": ends(figure)}
