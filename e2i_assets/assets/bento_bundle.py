"""Bento bundle: the evaluated model with its preprocessing, ready to be served."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pandas as pd

from e2i_assets.assets.attribute_names import BUNDLE_FILES
from e2i_assets.assets.scoped import stage_key
from e2i_assets.contracts.variables import Feature
from e2i_assets.gates import bento_bundle as rules
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.data import require_features
from e2i_assets.modeling.explanation.example_row import known_levels, usual_values
from e2i_assets.modeling.explanation.shapley import served_explanation
from e2i_assets.modeling.problems.base import Answer
from e2i_assets.modeling.scopes.scope import PredictiveScope, Scope
from e2i_assets.modeling.selection.candidate import broken_constraints
from e2i_assets.modeling.selection.measuring import measure, plain_rows
from e2i_assets.modeling.selection.one_row import asked, compiled
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.resources.store import ArtifactRefused, Published
from e2i_assets.resources.version_files import content_hash, to_disk
from e2i_assets.serving import Bundle, BundleError, bento_store, build_bundle
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.storage.bundles import ArchiveDamaged, fetch, folder_of, keep
from e2i_assets.warehouse.queries.models import record_bundle

if TYPE_CHECKING:
    from e2i_assets.modeling.uplift.model import UpliftModel

PROBES = 200
"""Rows of validation that model and bundle are asked."""
EFFECTS_UNEXPLAINED: Mapping[str, Any] = {
    "unavailable": "an effect is told by several models together and has no one score; the model card tells "
    "which features move it over all patients"
}


def build_bento_bundle(scope: PredictiveScope) -> dg.AssetsDefinition:
    """The asset `<scope>/bento_bundle` of a prediction."""

    def bento_bundle(
        context: StageContext, splits: Splits, model: TrainedModel, evaluation: Evaluated
    ) -> StageResult:
        result = evaluation.evaluation
        classes = getattr(model.pipeline, "classes_", ())
        answer = model.problem.answer(classes, scope.target, result.threshold)
        test = result.primary("test")
        figures = {} if test is None else {f"test_{result.primary_metric}": test}
        return bundled(context, scope, splits, Servable(model, answer, evaluation.model_fingerprint, figures))

    return bundle_stage(scope)(bento_bundle)


@dataclass(frozen=True)
class Servable:
    """What goes into a bundle.

    Attributes:
        answer: what a client gets of it.
        evaluated: fingerprint of the model that was evaluated.
        figures: of the evaluation, to be told by the service.
    """

    model: TrainedModel | UpliftModel
    answer: Answer
    evaluated: str
    figures: Mapping[str, float]


def bundle_stage(scope: Scope) -> Callable[[Callable[..., StageResult]], dg.AssetsDefinition]:
    """What makes the asset `<scope>/bento_bundle` of a function of splits, model and evaluation."""
    return stage(
        key=stage_key(scope, "bento_bundle"),
        group=scope.name,
        scope=scope.name,
        description="Self-contained bundle that `bentoml serve` answers from.",
        kinds={"bentoml"},
        gates=(rules.BUNDLE_ANSWERS,),
        inputs={
            "splits": "splits",
            "model": stage_key(scope, "trained_model"),
            "evaluation": stage_key(scope, "evaluation"),
        },
        config=lambda context: {
            "minimum_cell_count": context.quality.minimum_cell_count,
            "logged_features": scope.logged_features,
            "out_of_contract": scope.out_of_contract,
            "limits": scope.selection.model_dump(include={"max_latency_ms", "max_memory_gb"}),
        },
        lost=_lost,
    )


def bundled(context: StageContext, scope: Scope, splits: Splits, served: Servable) -> StageResult:
    """Build the bundle, write it down, and ask it what the model is asked."""
    model, method, port = served.model, served.answer.method, served.answer.port
    with bento_store(context.settings.bento_home):
        _remove_unless_known(context, f"{_name(context, scope)}:{context.fingerprint}")
        bundle = _build(context, scope, splits, served)
    to_disk(bundle.path)
    files_hash = content_hash(bundle.path)
    keep(context.settings, bundle.tag, files_hash)
    record_bundle(context.warehouse, context.partition, scope.name, context.run_id, bundle, model.fingerprint)
    probes = probe_rows(splits.validation, [f for f in splits.features if f.name in model.features])
    cost = measure(packed_pipeline(bundle), method, probes)
    return StageResult(
        BundleRef(bundle.tag, bundle.service_name, model.fingerprint),
        gate_input=dataclasses.replace(
            answers(model.pipeline, bundle, method, probes),
            broken=broken_constraints(cost, scope.selection),
        ),
        metadata={
            "tag": bundle.tag,
            "path": dg.MetadataValue.path(str(bundle.path)),
            "one_row": bundle.one_row,
            "one_row_ms": cost.latency_ms,
            "memory_gb": cost.memory_gb,
            "serve": _how(bundle, context, port),
            "predict": _ask(bundle.example, port),
        },
        attributes={BUNDLE_FILES: files_hash},
    )


def _name(context: StageContext, scope: Scope) -> str:
    return f"e2i-{scope.name}-{context.partition}"


def _lost(context: StageContext, current: Published) -> str | None:
    """What is wrong with a published bundle's files, without BentoML, whose import takes seconds."""
    registered = str(current.attributes.get(BUNDLE_FILES))
    try:
        folder = fetch(context.settings, context.open(current, BundleRef).tag, registered)
    except ArchiveDamaged as error:
        return str(error)
    if not folder.is_dir():
        return f"{folder} is gone"
    return None if content_hash(folder) == registered else f"{folder} was changed"


def _remove_unless_known(context: StageContext, tag: str) -> None:
    """Make room for the bundle where its place holds files that are not those which were published."""
    folder = folder_of(context.settings, tag)
    try:
        current = context.store.current("/".join(context.dagster.asset_key.path), context.partition)
    except ArtifactRefused:
        current = None
    if folder.is_dir() and (current is None or content_hash(folder) != current.attributes.get(BUNDLE_FILES)):
        shutil.rmtree(folder)


def _build(context: StageContext, scope: Scope, splits: Splits, served: Servable) -> Bundle:
    model = served.model
    if served.evaluated != model.fingerprint:
        raise BundleError(
            f"the published evaluation is of model {served.evaluated[:16]}, the published model "
            f"is {model.fingerprint[:16]}",
            "Materialize the evaluation of this model first.",
        )
    features = [feature for feature in splits.features if feature.name in model.features]
    levels = known_levels(model.pipeline[0])
    numeric = [feature.name for feature in features if feature.kind == "numeric"]
    cell = context.quality.minimum_cell_count
    usual = usual_values(splits.train, numeric, cell)
    explanation = EFFECTS_UNEXPLAINED
    if served.answer.gives != "effect":
        explanation = served_explanation(model.pipeline, splits.train, minimum_cell_count=cell)
    return build_bundle(
        model.pipeline,
        features,
        name=_name(context, scope),
        version=context.fingerprint,
        answer=served.answer,
        metadata={
            "partition": context.partition,
            "algorithm": model.algorithm,
            "model_fingerprint": model.fingerprint,
            "data_version": context.inputs["splits"].version,
            **served.figures,
        },
        levels=levels,
        usual=usual,
        logged_features=[feature.name for feature in features if feature.name in scope.logged_features],
        out_of_contract=scope.out_of_contract,
        explanation=explanation,
    )


def probe_rows(validation: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """The rows that model and bundle must answer alike.

    Raises:
        TrainingDataError: a feature is missing, or is no number where it should be.
    """
    require_features("validation", validation, features)
    return validation[[feature.name for feature in features]].head(PROBES)


def packed_pipeline(bundle: Bundle) -> Any:
    """The pipeline that travels in a bundle."""
    import joblib

    (packed,) = bundle.path.rglob("pipeline.joblib")
    return joblib.load(packed)


def answers(pipeline: Any, bundle: Bundle, method: str, probes: pd.DataFrame) -> rules.Answers:
    """What the model's pipeline gives for the probes, and the pipeline that travels in the bundle."""
    packed = packed_pipeline(bundle)
    whole = np.asarray(asked(packed, method)(probes), dtype=float)
    alone = None
    if bundle.one_row == "compiled":
        one = compiled(packed, method)
        alone = np.array([one(row) for row in plain_rows(probes)], dtype=float).reshape(whole.shape)
    return rules.Answers(np.asarray(asked(pipeline, method)(probes), dtype=float), whole, alone)


def _how(bundle: Bundle, context: StageContext, port: int) -> str:
    home = shlex.quote(str(context.settings.bento_home))
    return f"BENTOML_HOME={home} bentoml serve {bundle.tag} --host 127.0.0.1 --port {port}"


def _ask(example: Mapping[str, Any], port: int) -> str:
    body = shlex.quote(json.dumps({"features": example}, ensure_ascii=False))
    return f"curl -s http://127.0.0.1:{port}/predict -H 'Content-Type: application/json' -d {body}"
