"""Trained model of an effect: a learner that beat the constant effect, or the constant effect."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import MLFLOW_RUN
from e2i_assets.assets.scoped import SEED, stage_key
from e2i_assets.assets.training_log import lineage
from e2i_assets.causal.cate import CateChoice
from e2i_assets.causal.scores import EffectGroup, Estimate
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.gates.uplift import BEATS_CONSTANT_EFFECT, Chosen
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.estimate import EffectEstimate
from e2i_assets.modeling.uplift.model import UpliftModel, train_uplift
from e2i_assets.modeling.uplift.plots import importance_plots, segment_plot
from e2i_assets.modeling.uplift.rows import development
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.models import record_training


def build_uplift_model(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/trained_model`."""

    @stage(
        key=stage_key(scope, "trained_model"),
        group=scope.name,
        scope=scope.name,
        description="Effect for each patient by the learner with the least R-loss, where that beats the "
        "constant effect by more than noise; else the constant effect. Logged to MLflow.",
        kinds={"econml", "mlflow"},
        gates=(BEATS_CONSTANT_EFFECT,),
        inputs={
            "splits": "splits",
            "cohort": "cohort",
            "estimate": stage_key(scope, "effect_estimate"),
        },
        config=lambda context: {
            "scope": scope.model_dump(mode="json"),
            "minimum_cell_count": context.quality.minimum_cell_count,
        },
    )
    def trained_model(
        context: StageContext, splits: Splits, cohort: Cohort, estimate: EffectEstimate
    ) -> StageResult:
        model = fitted_effect(
            scope,
            splits,
            cohort,
            estimate,
            context.quality.minimum_cell_count,
            on_learner=lambda name: context.log.info(f"{name}: compared with the constant effect"),
        )
        rows = f"{context.cells.text(model.n_train + model.n_validation)} patients of train and validation"
        pictures = {"effect_by_segment.png": segment_plot(model.segments, rows), **importance_plots(model)}
        run_id, page = _log(context, scope, model, pictures)
        record_training(
            context.warehouse,
            context.partition,
            scope.name,
            context.run_id,
            model,
            data_versions={name: published.version for name, published in context.inputs.items()},
            mlflow_run_id=run_id,
        )
        return StageResult(
            model,
            gate_input=Chosen(model.constant, model.choice),
            metadata={
                "algorithm": model.algorithm,
                "average_effect": model.average.estimate,
                "contest": shown.table(contest_rows(model.choice)),
                "segments": shown.table(segment_rows(model.segments)),
                "effect_importance": "none: the constant effect differs by no feature",
                **{Path(name).stem: shown.image(png) for name, png in pictures.items()},
                "fingerprint": model.fingerprint[:16],
                MLFLOW_RUN: run_id,
                "mlflow_run": dg.MetadataValue.url(page),
            },
            attributes={MLFLOW_RUN: run_id},
        )

    return trained_model


def fitted_effect(
    scope: CausalScope,
    splits: Splits,
    cohort: Cohort,
    estimate: EffectEstimate,
    minimum_cell_count: int,
    *,
    on_learner: Callable[[str], None] = lambda _: None,
) -> UpliftModel:
    """The model of these inputs: the same ones give the same one.

    Raises:
        TrainingDataError: see `train_uplift`.
    """
    return train_uplift(
        development(splits, scope).clustered(cohort.members),
        estimate.report,
        n_train=len(splits.train),
        seed=SEED,
        minimum_cell_count=minimum_cell_count,
        accept=lambda choice: BEATS_CONSTANT_EFFECT.verdict(Chosen(False, choice)).passed,
        on_learner=on_learner,
    )


def contest_rows(choice: CateChoice) -> Iterator[dict[str, Any]]:
    """Each learner against the constant effect."""
    yield _contest("constant effect", choice.constant_loss)
    for contest in choice.contests:
        of = contest.gain, contest.noise, contest.in_noises, choice.critical
        yield _contest(contest.learner, contest.r_loss, *of)
    for name, reason in choice.failed.items():
        yield _contest(f"{name} (could not be fitted: {reason})")


def _contest(learner: str, *figures: float) -> dict[str, Any]:
    names = ("R-loss", "better by", "standard error", "standard errors", "needed")
    return {"learner": learner} | dict(zip_longest(names, figures))


def segment_rows(segments: Iterable[EffectGroup]) -> Iterator[dict[str, Any]]:
    """Effects by segment; of too few patients neither effect nor number."""
    for group in segments:
        yield {
            "by": group.by,
            "level": group.level,
            "patients": "few" if group.effect is None else group.rows,
            "effect": None if group.effect is None else group.effect.value,
            "95 %": "" if group.effect is None else ends(group.effect),
            "predicted": group.predicted,
        }


def ends(figure: Estimate) -> str:
    """The ends of an interval in words."""
    return f"{figure.low:.3f} to {figure.high:.3f}"


def _log(
    context: StageContext, scope: CausalScope, model: UpliftModel, pictures: Mapping[str, bytes]
) -> tuple[str, str]:
    """Log parameters, metrics, data versions, model and pictures; returns the run and its page."""
    tags = {"scope": scope.name, "partition": context.partition, "brand": context.cohort_config.brand}
    with context.tracking.run(
        context.dagster,
        experiment=f"e2i_{scope.name}",
        name=f"{scope.name}_{context.partition}",
        tags={
            **tags, "problem_type": scope.problem_type, "target": scope.target, "treatment": scope.treatment,
        },
    ) as mlflow:  # fmt: skip
        mlflow.log_params(
            {"algorithm": model.algorithm, "nuisance": model.nuisance, "seed": model.seed}
            | {f"data_{key}": published.version for key, published in context.inputs.items()}
        )
        mlflow.log_metrics(dict(model.metrics))
        mlflow.log_input(lineage(context), context="training")
        with tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
            model.save(Path(scratch))
            mlflow.log_artifacts(scratch, "model")
        context.tracking.log_files(mlflow, "plots", pictures)
        return mlflow.mlflow_run_id, context.tracking.page(mlflow.active_run().info)
