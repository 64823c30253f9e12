"""What MLflow is told of a trained model: figures, files and versions, never a patient's row."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2i_assets.modeling.artifacts import FittedPreprocessor
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.modeling.training.recalibration import uncalibrated
from e2i_assets.modeling.tuning.study import TunedParams
from e2i_assets.stages.context import StageContext

if TYPE_CHECKING:
    import pandas as pd


def log_training(
    context: StageContext,
    scope: Scope,
    trained: TrainedModel,
    preprocessor: FittedPreprocessor,
    tuned: TunedParams,
    *,
    example: pd.DataFrame,
    pictures: Mapping[str, Mapping[str, bytes]],
) -> tuple[str, str]:
    """Log parameters, metrics, data versions, model, preprocessor and files; returns the run and its page.

    Args:
        example: one row that is nobody's, for the model's signature.
        pictures: folder to file name to content.
    """
    tags = {"scope": scope.name, "partition": context.partition, "brand": context.cohort_config.brand}
    with context.tracking.run(
        context.dagster,
        experiment=f"e2i_{scope.name}",
        name=f"{scope.name}_{context.partition}",
        tags={**tags, "problem_type": scope.problem_type, "target": scope.target},
    ) as mlflow:
        mlflow.log_params(
            {
                "algorithm": trained.algorithm,
                "seed": trained.seed,
                "hpo_trials": tuned.n_trials,
                "hpo_warm_started": bool(tuned.warm_start),
            }
            | (
                {"calibration": trained.calibration, "class_weighted": trained.class_weighted}
                if trained.calibration
                else {}
            )
            | {f"hp_{key}": value for key, value in trained.params.items()}
            | {f"data_{key}": published.version for key, published in context.inputs.items()}
        )
        mlflow.log_metrics({**trained.metrics, "hpo_best_value": tuned.best_value})
        mlflow.log_input(lineage(context), context="training")
        with tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
            folder = Path(scratch)
            preprocessor.save(folder)
            mlflow.log_artifact(str(folder / "preprocessor.joblib"), "preprocessor")
        for place, files in pictures.items():
            context.tracking.log_files(mlflow, place, files)
        _log_model(mlflow, trained, example)
        return mlflow.mlflow_run_id, context.tracking.page(mlflow.active_run().info)


def lineage(context: StageContext) -> Any:
    """The splits that the model was made of, by name and version: no row of them, and no path."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    splits = context.inputs["splits"]
    source = CodeDatasetSource({"asset": splits.asset, "partition": context.partition, "run": splits.run_id})
    # MLflow leaves `profile` abstract, and makes it all the same.
    return MetaDataset(  # type: ignore[abstract]
        source, name=f"{splits.asset}/{context.partition}", digest=splits.version
    )


def _log_model(mlflow: Any, trained: TrainedModel, example: pd.DataFrame) -> None:
    from importlib.metadata import version

    from mlflow.models import infer_signature

    method = "predict_proba" if trained.problem.of_classes else "predict"
    # Without the list MLflow infers it by importing the model in a new process, for half a minute.
    needed = ["scikit-learn", "pandas", "numpy", *_booster(trained)]
    mlflow.sklearn.log_model(
        trained.pipeline,
        name="model",
        signature=infer_signature(example, getattr(trained.pipeline, method)(example)),
        input_example=example,
        pyfunc_predict_fn=method,
        pip_requirements=[f"{package}=={version(package)}" for package in needed],
        serialization_format="cloudpickle",
    )


def _booster(trained: TrainedModel) -> list[str]:
    module = type(uncalibrated(trained.pipeline[-1])).__module__.split(".")[0]
    return [module] if module in {"xgboost", "lightgbm"} else []
