"""Trained model: the candidate with its tuned params, fitted on train, stopped early on validation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import EXPLANATION, MLFLOW_RUN, PREPROCESSOR_GATES
from e2i_assets.assets.scoped import SEED, labelled, stage_key
from e2i_assets.json_files import to_json, write_json
from e2i_assets.modeling.artifacts import FittedPreprocessor, Splits
from e2i_assets.modeling.explanation import Explanation, explain_model
from e2i_assets.modeling.explanation_plots import explanation_plots
from e2i_assets.modeling.plots import importance_plot
from e2i_assets.modeling.recalibration import uncalibrated
from e2i_assets.modeling.scope import Scope
from e2i_assets.modeling.selection import ModelCandidate
from e2i_assets.modeling.study_plots import study_plots
from e2i_assets.modeling.training import TrainedModel, train_model
from e2i_assets.modeling.tuning import TunedParams
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.models import record_training


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
        config=lambda context: scope.model_dump(mode="json"),
    )
    def trained_model(
        context: StageContext,
        splits: Splits,
        candidate: ModelCandidate,
        preprocessor: FittedPreprocessor,
        tuned: TunedParams,
    ) -> StageResult:
        names = list(preprocessor.features)
        train = labelled("train", splits.train, names, scope)
        validation = labelled("validation", splits.validation, names, scope)
        trained = train_model(
            candidate, tuned.chosen_params, preprocessor.preprocessor, train, validation, seed=SEED
        )
        importance, primary = importance_plot(trained), scope.problem.primary_metric
        explanation = explain_model(
            trained, train, validation, seed=SEED, minimum_cell_count=context.quality.minimum_cell_count
        )
        learnt = explanation_plots(explanation)
        run_id, page = _log(context, scope, trained, preprocessor, tuned, importance, explanation, learnt)
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


def _log(
    context: StageContext,
    scope: Scope,
    trained: TrainedModel,
    preprocessor: FittedPreprocessor,
    tuned: TunedParams,
    importance: bytes,
    explanation: Explanation,
    learnt: Mapping[str, bytes],
) -> tuple[str, str]:
    """Log parameters, metrics, model, preprocessor and plots; returns the MLflow run and its page."""
    tags = {"scope": scope.name, "partition": context.partition, "brand": context.cohort_config.brand}
    name = f"{scope.name}_{context.partition}"
    with context.tracking.run(
        context.dagster,
        experiment=f"e2i_{scope.name}",
        name=name,
        tags={**tags, "problem_type": scope.problem_type},
    ) as mlflow:
        mlflow.log_params(
            {
                "algorithm": trained.algorithm,
                "seed": trained.seed,
                "hpo_trials": tuned.n_trials,
                "hpo_warm_started": bool(tuned.warm_start),
            }
            | {f"hp_{key}": value for key, value in trained.params.items()}
            | {f"data_{key}": published.version for key, published in context.inputs.items()}
        )
        mlflow.log_metrics({**trained.metrics, "hpo_best_value": tuned.best_value})
        with tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
            folder = Path(scratch)
            preprocessor.save(folder)
            (plots := folder / "plots").mkdir()
            for plot, picture in ({"importance.png": importance} | study_plots(tuned)).items():
                (plots / plot).write_bytes(picture)
            mlflow.log_artifacts(str(plots), "plots")
            mlflow.log_artifact(str(folder / "preprocessor.joblib"), "preprocessor")
            (shap := folder / "shap").mkdir()
            write_json(shap, "explanation.json", to_json(explanation))
            for plot, picture in learnt.items():
                (shap / plot).write_bytes(picture)
            mlflow.log_artifacts(str(shap), "shap")
        _log_model(mlflow, trained)
        return mlflow.mlflow_run_id, context.tracking.page(mlflow.active_run().info)


def _log_model(mlflow: object, trained: TrainedModel) -> None:
    from importlib.metadata import version

    # Without the list MLflow infers it by importing the model in a new process, for half a minute.
    needed = ["scikit-learn", "pandas", "numpy", *_booster(trained)]
    mlflow.sklearn.log_model(  # type: ignore[attr-defined]
        trained.pipeline,
        name="model",
        pip_requirements=[f"{package}=={version(package)}" for package in needed],
        serialization_format="cloudpickle",
    )


def _booster(trained: TrainedModel) -> list[str]:
    module = type(uncalibrated(trained.pipeline[-1])).__module__.split(".")[0]
    return [module] if module in {"xgboost", "lightgbm"} else []
