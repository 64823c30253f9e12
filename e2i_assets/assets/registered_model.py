"""Registered model: the bundle as a version of the registry, in staging once the rules for that hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import BUNDLE_FILES, MADE_OF
from e2i_assets.assets.scoped import stage_key
from e2i_assets.gates.registered_model import PROMOTION_RULES, Entering
from e2i_assets.modeling.artifacts import Evaluated
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.scopes.problem_types import problem_of
from e2i_assets.modeling.scopes.scope import PredictiveScope, Scope
from e2i_assets.registry.errors import RegistryError
from e2i_assets.registry.ledger import NewVersion
from e2i_assets.registry.registered import RegisteredModel
from e2i_assets.registry.rules import PromotionRules
from e2i_assets.registry.stages import STAGING
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.resources.store import Published
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.models import training_of
from e2i_assets.warehouse.queries.registry import model_of

Evidence = Mapping[str, float | None]


def build_registered_model(scope: PredictiveScope) -> dg.AssetsDefinition:
    """The asset `<scope>/registered_model` of a prediction."""

    def registered_model(context: StageContext, bundle: BundleRef, evaluation: Evaluated) -> StageResult:
        result = evaluation.evaluation
        return registered(context, scope, bundle, evidence_of_prediction(result), result.n_test)

    return registration_stage(scope)(registered_model)


def evidence_of_prediction(evaluation: Evaluation) -> Evidence:
    """What a model reached on test, by the names that rules have for it."""
    test = evaluation.metrics.get("test", {})
    return {
        name: finite(test.get(metric))
        for name, metric in problem_of(evaluation.problem_type).criteria.items()
    }


def finite(value: float | None) -> float | None:
    """A number, or None where it is none."""
    return float(value) if value is not None and math.isfinite(value) else None


def registration_stage(
    scope: Scope, **others: str
) -> Callable[[Callable[..., StageResult]], dg.AssetsDefinition]:
    """What makes the asset `<scope>/registered_model` of a function of bundle, evaluation and `others`."""
    stages = {"bundle": "bento_bundle", "evaluation": "evaluation", **others}
    return stage(
        key=stage_key(scope, "registered_model"),
        group=scope.name,
        scope=scope.name,
        description="The bundle as a version of the model registry, here and in MLflow; in staging once the "
        "rules for that hold.",
        kinds={"mlflow", "postgres"},
        gates=(PROMOTION_RULES,),
        inputs={name: stage_key(scope, key) for name, key in stages.items()},
        config=lambda context: {
            "rules": PromotionRules.of(context.settings.config_dir).criteria(scope.problem_type, STAGING).root
        },
        lost=_lost,
    )


def registered(
    context: StageContext, scope: Scope, bundle: BundleRef, evidence: Evidence, n_test: int
) -> StageResult:
    """Register the bundle; the version enters staging when the gate lets it."""
    registry = ModelRegistry(context.settings, context.warehouse, context.tracking)
    version = registry.register(_new_version(context, scope, bundle, evidence, n_test))
    requirements = registry.required(version, STAGING)
    return StageResult(
        RegisteredModel(
            version.model_name,
            version.version,
            version.model_fingerprint,
            version.service,
            version.bento_tag,
            version.files_hash,
        ),
        gate_input=Entering(version.title, STAGING, requirements),
        on_publish=lambda: registry.enter_staging(version, context.run_id),
        metadata={
            "model_name": version.model_name,
            "model_version": version.version,
            "rules": shown.table(
                {"rule": one.name, "wanted": one.wanted, "found": one.found, "met": one.met}
                for one in requirements
            ),
            "mlflow_version": version.mlflow_version,
            "data_version": version.data_version,
        },
    )


def _new_version(
    context: StageContext, scope: Scope, bundle: BundleRef, evidence: Evidence, n_test: int
) -> NewVersion:
    training = training_of(context.warehouse, context.partition, scope.name, bundle.model_fingerprint)
    if training is None:
        raise RegistryError(
            f"model {bundle.model_fingerprint[:16]} is not on record as trained for {context.partition}",
            f"Materialize {scope.name}/trained_model again.",
            code="not_trained",
        )
    return NewVersion(
        model_name=bundle.tag.partition(":")[0],
        scope=scope.name,
        partition=context.partition,
        problem_type=scope.problem_type,
        algorithm=training.algorithm,
        model_fingerprint=bundle.model_fingerprint,
        service=bundle.service_name,
        bento_tag=bundle.tag,
        files_hash=context.inputs["bundle"].attributes[BUNDLE_FILES],
        data_version=training.data_versions["splits"],
        trained_on={**training.data_versions, **_made_of(context, training.data_versions["splits"])},
        metrics=evidence,
        samples={
            "train": training.training_samples,
            "validation": training.validation_samples,
            "test": n_test,
        },
        mlflow_run_id=training.mlflow_run_id,
        run_id=context.run_id,
    )


def _made_of(context: StageContext, splits: str) -> Mapping[str, str]:
    """Versions of what the splits were made of, where these are the published ones and say so."""
    current = context.store.current("splits", context.partition)
    return current.attributes.get(MADE_OF, {}) if current and current.version == splits else {}


def _lost(context: StageContext, current: Published) -> str | None:
    """Whether the published version is of other files than the bundle's, or of another registry."""
    model = context.open(current, RegisteredModel)
    if model.files_hash != context.inputs["bundle"].attributes[BUNDLE_FILES]:
        return f"{model.bento_tag} was built again"
    known = model_of(context.warehouse, model.model_name).versions
    same = any((v.version, v.files_hash) == (model.version, model.files_hash) for v in known)
    return None if same else f"{model.model_name} version {model.version} is not in the registry"
