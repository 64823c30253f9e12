"""Tuned params: an Optuna study, fitted on train and scored on validation."""

from __future__ import annotations

import dataclasses

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.scoped import labelled, stage_key
from e2i_assets.modeling.artifacts import FittedPreprocessor, Splits
from e2i_assets.modeling.scope import Scope
from e2i_assets.modeling.selection import ModelCandidate
from e2i_assets.modeling.tuning import OptunaConfig, tune
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.models import record_study


def _config(context: StageContext) -> OptunaConfig:
    return OptunaConfig.from_yaml(context.settings.config_dir / "optuna_config.yaml")


def build_tuned_params(scope: Scope) -> dg.AssetsDefinition:
    """The asset `<scope>/tuned_params`."""

    @stage(
        key=stage_key(scope, "tuned_params"),
        group=scope.name,
        scope=scope.name,
        description=f"Best hyperparameters of the candidate, by {scope.problem.scorer} on validation.",
        kinds={"optuna"},
        inputs={
            "splits": "splits",
            "candidate": stage_key(scope, "model_candidate"),
            "preprocessor": stage_key(scope, "preprocessor"),
        },
        config=lambda context: [scope.model_dump(mode="json"), _config(context).model_dump(mode="json")],
    )
    def tuned_params(
        context: StageContext, splits: Splits, candidate: ModelCandidate, preprocessor: FittedPreprocessor
    ) -> StageResult:
        names = list(preprocessor.features)
        study = tune(
            candidate,
            preprocessor.preprocessor,
            labelled("train", splits.train, names, scope),
            labelled("validation", splits.validation, names, scope),
            _config(context),
            study_name=f"{scope.name}_{context.partition}",
        )
        record_study(context.warehouse, context.partition, scope.name, context.run_id, study)
        best = sorted(
            (trial for trial in study.trials if trial["state"] == "COMPLETE"),
            key=lambda trial: -trial["value"],
        )
        return StageResult(
            # How long trials took differs from run to run; the artifact must not.
            dataclasses.replace(study, durations=()),
            metadata={
                "best_value": study.best_value,
                "metric": study.metric,
                "best_params": dict(study.best_params),
                "seconds": sum(study.durations),
                "trials": f"{study.n_completed} completed, {study.n_pruned} pruned of {study.n_trials}",
                "best_trials": shown.table(
                    {"trial": trial["number"], "value": trial["value"], **trial["params"]}
                    for trial in best[:10]
                ),
            },
        )

    return tuned_params
