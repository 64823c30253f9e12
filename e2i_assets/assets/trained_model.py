"""Trained model: the candidate with its tuned params, fitted on train, stopped early on validation."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import EXPLANATION, MLFLOW_RUN, PREPROCESSOR_GATES
from e2i_assets.assets.scoped import SEED, labelled, stage_key
from e2i_assets.assets.training_log import log_training
from e2i_assets.json_files import to_json
from e2i_assets.modeling.artifacts import FittedPreprocessor, Splits
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.evaluation.plots import importance_plot
from e2i_assets.modeling.explanation.example_row import example_frame
from e2i_assets.modeling.explanation.explain import explain_model
from e2i_assets.modeling.explanation.plots import explanation_plots
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.candidate import ModelCandidate
from e2i_assets.modeling.training.model import TrainedModel, train_model
from e2i_assets.modeling.tuning.study import TunedParams
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.models import record_training

if TYPE_CHECKING:
    from e2i_assets.cluster import Cluster
    from e2i_assets.settings import Settings


def build_trained_model(scope: Scope) -> dg.AssetsDefinition:
    """The asset `<scope>/trained_model`."""

    @stage(
        key=stage_key(scope, "trained_model"),
        group=scope.name,
        scope=scope.name,
        description="Preprocessor and estimator as one pipeline, logged to MLflow.",
        kinds={"scikitlearn", "mlflow"},
        inputs={
            "splits": "splits",
            "candidate": stage_key(scope, "model_candidate"),
            "preprocessor": stage_key(scope, "preprocessor"),
            "tuned": stage_key(scope, "tuned_params"),
        },
        config=lambda context: training_config(scope, context.settings),
    )
    def trained_model(
        context: StageContext,
        splits: Splits,
        candidate: ModelCandidate,
        preprocessor: FittedPreprocessor,
        tuned: TunedParams,
    ) -> StageResult:
        train, validation = known_rows(scope, splits, preprocessor)
        rows = context.settings.dask_training_rows
        spread = rows is not None and len(splits.train) >= rows
        with context.cluster() if spread else nullcontext() as cluster:
            trained = fitted(scope, splits, candidate, preprocessor, tuned, cluster)
        importance, primary = importance_plot(trained), scope.problem.primary_metric
        explanation = explain_model(
            trained, train, validation, seed=SEED, minimum_cell_count=context.quality.minimum_cell_count
        )
        learnt = explanation_plots(explanation)
        # Drawn when the study was published.
        study = {f"{name}.png": png for name, png in shown.pictures(context.inputs["tuned"]).items()}
        features = [feature for feature in splits.features if feature.name in trained.features]
        run_id, page = log_training(
            context,
            scope,
            trained,
            preprocessor,
            tuned,
            example=example_frame(
                trained.pipeline[0], splits.train, features, context.quality.minimum_cell_count
            ),
            pictures={
                "plots": {"importance.png": importance} | study,
                "shap": {**learnt, "explanation.json": json.dumps(to_json(explanation), indent=2).encode()},
            },
        )
        record_training(
            context.warehouse,
            context.partition,
            scope.name,
            context.run_id,
            trained,
            data_versions={name: published.version for name, published in context.inputs.items()},
            mlflow_run_id=run_id,
        )
        return StageResult(
            trained,
            metadata={
                "algorithm": trained.algorithm,
                **{
                    f"{split}_{primary}": trained.metrics[f"{split}_{primary}"]
                    for split in ("train", "validation")
                },
                "params": dict(trained.params),
                **({"calibration": trained.calibration} if trained.calibration else {}),
                **({"over_a_cluster": True} if trained.over_a_cluster else {}),
                "importance": shown.image(importance),
                **{f"shap_{Path(name).stem}": shown.image(png) for name, png in learnt.items()},
                "fingerprint": trained.fingerprint[:16],
                MLFLOW_RUN: run_id,
                "mlflow_run": dg.MetadataValue.url(page),
            },
            attributes={
                MLFLOW_RUN: run_id,
                PREPROCESSOR_GATES: dict(context.inputs["preprocessor"].gates),
                EXPLANATION: json.dumps(to_json(explanation)),  # text: its order counts
            },
        )

    return trained_model


def training_config(scope: Scope, settings: Settings) -> dict[str, Any]:
    """What decides how a model is trained: the scope, and from how many rows on over a cluster, if at all."""
    document = scope.model_dump(mode="json")
    rows = settings.dask_training_rows
    return document if rows is None else {"scope": document, "dask_training_rows": rows}


def known_rows(
    scope: Scope, splits: Splits, preprocessor: FittedPreprocessor
) -> tuple[LabelledSplit, LabelledSplit]:
    """Train and validation as the model sees them.

    Raises:
        TrainingDataError: see `labelled`.
    """
    names = list(preprocessor.features)
    return labelled("train", splits.train, names, scope), labelled(
        "validation", splits.validation, names, scope
    )


def fitted(
    scope: Scope,
    splits: Splits,
    candidate: ModelCandidate,
    preprocessor: FittedPreprocessor,
    tuned: TunedParams,
    cluster: Cluster | None = None,
) -> TrainedModel:
    """The model of these inputs: the same ones give the same one, unless it is fitted over a cluster.

    Raises:
        TrainingDataError: see `labelled`.
        ClusterLost: see `fit_on_cluster`.
    """
    train, validation = known_rows(scope, splits, preprocessor)
    return train_model(
        candidate, tuned.chosen_params, preprocessor.preprocessor, train, validation, seed=tuned.seed,
        cluster=cluster,
    )  # fmt: skip
