"""Tuned params: an Optuna study, fitted on train and scored on validation."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.scoped import labelled, stage_key
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.modeling.artifacts import FittedPreprocessor, Splits
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.candidate import ModelCandidate
from e2i_assets.modeling.tuning.config import OptunaConfig
from e2i_assets.modeling.tuning.journal import StudyJournal
from e2i_assets.modeling.tuning.plots import study_plots
from e2i_assets.modeling.tuning.study import Progress, TunedParams, tune
from e2i_assets.modeling.tuning.trials import ClusterPool, Fit, Fitted, LocalPool
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.studies import learnt_until, patterns_before, record_study

LOGGED_EVERY = 2.0
"""Seconds between two lines of progress."""


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
        name = f"{scope.name}_{context.partition}"
        study = f"{name}-{context.fingerprint}"
        cohort = context.cohort_config
        until = learnt_until(context.warehouse, study, PartitionKey(cohort.brand, cohort.indication))
        journal = StudyJournal(context.settings.studies_dir / f"{study}.jsonl")
        with context.cluster() as cluster:
            tuned = tune(
                candidate,
                preprocessor.preprocessor,
                labelled("train", splits.train, names, scope),
                labelled("validation", splits.validation, names, scope),
                _config(context),
                study_name=name,
                patterns=patterns_before(context.warehouse, until, candidate.algorithm, scope.problem_type),
                journal=journal,
                pool=ClusterPool(cluster) if cluster else LocalPool(),
                on_trial=_now_and_then(context),
                on_fit=partial(_span, context),
            )
        record_study(
            context.warehouse, context.partition, scope.name, context.run_id, tuned,
            study=study, learnt_until=until,
        )  # fmt: skip
        return StageResult(
            # How long trials took differs from run to run; the artifact must not.
            dataclasses.replace(tuned, durations=()),
            metadata=_metadata(tuned),
            on_publish=journal.remove,
        )

    return tuned_params


def _span(context: StageContext, fit: Fit, came: Fitted) -> None:
    """One of a trial; what it was tried with and how good it was is in the study's record."""
    context.span.record(
        "trial",
        came.started,
        came.seconds,
        came.error if came.state == "FAIL" else None,
        partition=context.partition,
        number=fit.number,
        rung=fit.level,
        algorithm=fit.algorithm,
        state=came.state,
        rounds=came.rounds,
    )


def _now_and_then(context: StageContext) -> Callable[[Progress], None]:
    """Logs progress every few seconds, and each trial that failed."""
    last = time.monotonic()

    def log(progress: Progress) -> None:
        nonlocal last
        if error := progress.trial["error"]:
            context.log.warning(f"trial {progress.trial['number']} failed ({error}); the study goes on.")
        if time.monotonic() - last >= LOGGED_EVERY:
            last = time.monotonic()
            context.log.info(str(progress))

    return log


def _metadata(tuned: TunedParams) -> dict[str, object]:
    finished = [fit for fit in tuned.scored if fit["state"] == "COMPLETE"]
    best = sorted(finished, key=lambda fit: (-fit["value"], fit["number"]))[:10]
    return {
        "best_value": tuned.best_value,
        "metric": tuned.metric,
        "best_params": dict(tuned.best_params),
        "chosen_trial": tuned.chosen_trial,
        "chosen_value": tuned.chosen_value,
        "chosen_params": dict(tuned.chosen_params),
        "seconds": sum(tuned.durations),
        "fits": tuned.fits,
        "trials": f"{tuned.n_completed} completed, {tuned.n_pruned} pruned, {tuned.n_failed} failed "
        f"of {tuned.n_trials}",
        "rows_of_rungs": list(tuned.rows),
        "best_trials": shown.table(
            {"trial": fit["number"], "value": fit["value"], **tuned.trials[fit["number"]]["params"]}
            for fit in best
        ),
        "warm_start": shown.table(
            {
                "pattern": start.pattern_id,
                "similarity": start.similarity,
                "trial": start.trial,
                "value": tuned.trials[start.trial]["value"],
            }
            for start in tuned.warm_start
        ),
        "trials_sooner": "no cold start to compare with"
        if tuned.trials_sooner is None
        else tuned.trials_sooner,
        **{name.removesuffix(".png"): shown.image(picture) for name, picture in study_plots(tuned).items()},
    }
