"""Holdout validation: the deployed model on the holdout split, opened once, through its live endpoint."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from e2i_assets.assets import shown
from e2i_assets.assets.deployment import Deployed
from e2i_assets.assets.scoped import labelled, stage_key
from e2i_assets.deployment.endpoint import ask
from e2i_assets.deployment.releases import DeploymentError
from e2i_assets.gates.deployment import HOLDOUT_AS_TEST
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.evaluation.holdout import HoldoutEvaluation, Measured, measured, predictions
from e2i_assets.modeling.scopes.scope import PredictiveScope, Scope
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.resources.sealing import VaultError
from e2i_assets.resources.vault import Opened
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage

_RECORD = TypeAdapter(HoldoutEvaluation)


def build_holdout_validation(scope: PredictiveScope) -> dg.AssetsDefinition:
    """The asset `<scope>/holdout_validation` of a prediction."""

    def holdout_validation(
        context: StageContext, splits: Splits, model: TrainedModel, evaluation: Evaluated, deployed: Deployed
    ) -> StageResult:
        require_same(deployed, model.fingerprint, evaluation.model_fingerprint)
        test = evaluation.evaluation

        def judge(opened: Opened) -> HoldoutEvaluation:
            holdout = labelled("holdout", opened.frame, list(model.features), scope)
            features = [feature for feature in splits.features if feature.name in model.features]
            url = context.settings.service_url(deployed.service)
            answers = ask(url, deployed.model_name, deployed.version, holdout.X, features)
            predicted = predictions(answers, scope.problem.labels)
            of_holdout = (holdout.y, predicted, test.threshold)
            figures = measured(scope.problem, *of_holdout)
            metric = test.primary_metric
            return HoldoutEvaluation(
                deployed.model_name, deployed.version, model.fingerprint, metric,
                scope.problem.greater_is_better, figures[metric],
                Measured(test.primary("test"), *(test.interval("test") or ())), figures, len(holdout.y),
                dict(scope.problem.reasons(*of_holdout)),
            )  # fmt: skip

        return validated(context, scope, splits, deployed, judge)

    return holdout_stage(scope)(holdout_validation)


def holdout_stage(scope: Scope) -> Callable[[Callable[..., StageResult]], dg.AssetsDefinition]:
    """What makes the asset of a function of splits, model, evaluation and deployment."""
    return stage(
        key=stage_key(scope, "holdout_validation"),
        group=scope.name,
        scope=scope.name,
        description="The deployed model on the holdout split, which opens once, through its live endpoint.",
        kinds={"scikitlearn"},
        gates=(HOLDOUT_AS_TEST,),
        inputs={
            "splits": "splits",
            "model": stage_key(scope, "trained_model"),
            "evaluation": stage_key(scope, "evaluation"),
            "deployed": stage_key(scope, "deployment"),
        },
        config=lambda context: {"scope": scope.model_dump(mode="json")},
    )


def validated(
    context: StageContext,
    scope: Scope,
    splits: Splits,
    deployed: Deployed,
    judge: Callable[[Opened], HoldoutEvaluation],
) -> StageResult:
    """Open holdout for this model, or take what was learnt when it was opened."""
    result = _learnt(context, deployed.model_fingerprint)
    if result is None:
        with context.vault.open(
            context.partition,
            "holdout",
            splits.seals["holdout"],
            model_fingerprint=deployed.model_fingerprint,
            purpose=f"{scope.name}/holdout_validation",
            run_id=context.run_id,
        ) as opened:
            result = judge(opened)
            opened.result = _RECORD.dump_python(result, mode="json")
    return StageResult(
        result,
        metadata={
            f"holdout_{result.metric}": result.holdout.value,
            f"test_{result.metric}": result.test.value,
            "holdout_patients": context.cells.figure(result.rows),
            "figures": shown.table(
                {"metric": name, "holdout": one.value, "low": one.low, "high": one.high}
                for name, one in result.figures.items()
            ),
        },
    )


def _learnt(context: StageContext, fingerprint: str) -> HoldoutEvaluation | None:
    """What holdout told of this model when it was opened; None where it was not.

    Raises:
        VaultError: it is in another release's form.
    """
    record = context.vault.result(context.partition, "holdout", fingerprint)
    try:
        return None if record is None else _RECORD.validate_python(record)
    except ValidationError as error:
        raise VaultError(
            f"what holdout told of model {fingerprint[:16]} was recorded by another release.",
            "Use that release for this model, or train another model.",
        ) from error


def require_same(deployed: Deployed, *fingerprints: str) -> None:
    """Check that the model of a deployment is the one that is published and evaluated.

    Raises:
        DeploymentError: it is not.
    """
    if {deployed.model_fingerprint} != set(fingerprints):
        raise DeploymentError(
            "the deployed model is not the one that is published and evaluated now",
            "Register and deploy the published model first.",
            code="other_model",
        )
