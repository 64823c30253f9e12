"""Evaluation: the test split, opened once for a model, and the scope's success criteria."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
import pandas as pd
from pydantic import BeforeValidator, TypeAdapter

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import LEAKAGE, MLFLOW_RUN, PREPROCESSOR_GATES
from e2i_assets.assets.evaluation_shown import evaluation_metadata
from e2i_assets.assets.known_truth import generator_knows, test_told
from e2i_assets.assets.scoped import labelled, stage_key
from e2i_assets.gates import evaluation as rules
from e2i_assets.json_files import from_json
from e2i_assets.leakage import LeakageReport
from e2i_assets.leakage.info_sheet import Evidence, SheetRow, largest_shift, leakage_sheet
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.evaluation.earlier import as_written_now
from e2i_assets.modeling.evaluation.evaluate import evaluate, lift, meets, plausibility, require_trained_for
from e2i_assets.modeling.evaluation.plots import evaluation_plots
from e2i_assets.modeling.evaluation.subgroups import groups_of, hidden_below
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.problem_types import problem_of
from e2i_assets.modeling.scopes.scope import PredictiveScope
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.resources.sealing import VaultError
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage


@dataclass(frozen=True)
class Learnt(Evaluated):
    """What test told when it was opened for a model.

    Attributes:
        other_rules: rule of a threshold to the evaluation by it, for scopes that ask the same at other costs:
            their model may be this one, for which test opens once.
    """

    other_rules: Mapping[str, Annotated[Evaluation, BeforeValidator(as_written_now)]] = field(
        default_factory=dict
    )


_RECORD = TypeAdapter(Learnt)


def build_evaluation(scope: PredictiveScope) -> dg.AssetsDefinition:
    """The asset `<scope>/evaluation`."""

    @stage(
        key=stage_key(scope, "evaluation"),
        group=scope.name,
        scope=scope.name,
        description="Metrics of the model on the test split, which the vault opens once for it.",
        kinds={"scikitlearn", "mlflow"},
        gates=(rules.SUCCESS_CRITERIA,),
        warnings=(rules.SUBGROUP_GAPS,),
        inputs={"splits": "splits", "model": stage_key(scope, "trained_model")},
        config=lambda context: {
            "scope": scope.model_dump(mode="json"),
            "minimum_cell_count": context.quality.minimum_cell_count,
            "small_cells": asdict(context.cells),
        },
    )
    def evaluation(context: StageContext, splits: Splits, model: TrainedModel) -> StageResult:
        evaluated = _evaluate_once(context, scope, splits, model)
        result = evaluated.evaluation
        undeclared = [f.name for f in splits.features if f.name in model.features and not f.known_at_index]
        asked = (*meets(scope.success_criteria, result), lift(scope, result))
        criteria = (*filter(None, asked), plausibility(scope, result, undeclared))
        plots = evaluation_plots(result)
        page = _log(context, result, plots, all(c.ok for c in criteria))
        primary = result.primary_metric
        return StageResult(
            evaluated,
            gate_input=criteria,
            warning_input=result,
            metadata={
                "primary_metric": primary,
                **evaluation_metadata(result, scope.problem, context.cells),
                **{Path(name).stem: shown.image(png) for name, png in plots.items()},
                "leakage": shown.table(vars(row) for row in evaluated.leakage_sheet),
                "mlflow_run": dg.MetadataValue.url(page),
            },
        )

    return evaluation


def _evaluate_once(
    context: StageContext, scope: PredictiveScope, splits: Splits, model: TrainedModel
) -> Evaluated:
    """Open test for this model, or take what was learnt when it was opened."""
    if (recorded := _learnt(context, scope, model)) is not None:
        return recorded
    require_trained_for(model, scope.problem)  # before test opens
    names = list(model.features)
    train, validation = (
        labelled(name, getattr(splits, name), names, scope) for name in ("train", "validation")
    )
    declared = generator_knows(context)
    sealed = context.vault.open(
        context.partition,
        "test",
        splits.seals["test"],
        model_fingerprint=model.fingerprint,
        purpose=f"{scope.name}/evaluation",
        run_id=context.run_id,
    )
    with sealed as opened:
        known = opened.frame[opened.frame[scope.target].notna()]
        groups, missing = groups_of(known)
        absent = {f"subgroups {dimension}": reason for dimension, reason in missing.items()}
        truth = (
            declared.true_means(scope.target, known["patient_journey_id"], known[scope.target])
            if declared
            else None
        )

        def by_rule_of(asked: PredictiveScope) -> Evaluation:
            test = labelled("test", opened.frame, names, asked)
            minimum = context.quality.minimum_cell_count
            result = evaluate(model, test, validation, train, groups=groups, minimum=minimum, truth=truth)
            return replace(result, unavailable={**result.unavailable, **absent})

        sheet = _leakage_sheet(context, scope, splits, opened.frame, names)
        others = {rule: by_rule_of(other) for rule, other in _at_other_costs(context, scope).items()}
        learnt = Learnt(by_rule_of(scope), model.fingerprint, sheet, others)
        opened.result = _RECORD.dump_python(learnt, mode="json")
    return _by_rule(learnt, scope)


def _at_other_costs(context: StageContext, scope: PredictiveScope) -> dict[str, PredictiveScope]:
    """The partition's scopes that ask the same with another rule for the threshold, one of each rule."""
    scopes = load_scopes(context.settings.config_dir / "scopes")
    every = [scopes[name] for name in context.cohort_config.scopes]
    asked = [other for other in every if isinstance(other, PredictiveScope)]
    same = [other for other in asked if (other.target, other.problem) == (scope.target, scope.problem)]
    rules = {other.problem.threshold_rule: other for other in reversed(same)}
    return {rule: other for rule, other in rules.items() if rule != scope.problem.threshold_rule}


def _learnt(context: StageContext, scope: PredictiveScope, model: TrainedModel) -> Evaluated | None:
    """What test told of this model when it was opened; None where it was not.

    Raises:
        VaultError: it is in another release's form, or was decided at a threshold of other costs.
    """
    recorded = test_told(context, model.fingerprint, _RECORD)
    if recorded is None:
        return None
    evaluated = _by_rule(recorded, scope)
    shown_now = hidden_below(evaluated.evaluation.subgroups, context.quality.minimum_cell_count)
    return replace(evaluated, evaluation=replace(evaluated.evaluation, subgroups=shown_now))


def _by_rule(learnt: Learnt, scope: PredictiveScope) -> Evaluated:
    """The evaluation at the threshold that a scope asks for.

    Raises:
        VaultError: test was opened before a scope of the partition asked for it.
    """
    asked = scope.problem.threshold_rule
    # Releases that knew no costs wrote no rule down: theirs was the one that needs none.
    first = learnt.evaluation.threshold_rule or problem_of(learnt.evaluation.problem_type).threshold_rule
    by_rule = {**learnt.other_rules, first: learnt.evaluation}
    if asked not in by_rule:
        raise VaultError(
            f"test was opened for model {learnt.model_fingerprint[:16]} with its threshold by "
            f"{'; and by '.join(sorted(by_rule))}; the scope now asks for {asked}, and test does not open "
            "for it again.",
            "State one of the earlier rules in the scope, or train another model. Costs that several scopes "
            "of a partition state are all judged where they are there before test opens.",
        )
    return Evaluated(by_rule[asked], learnt.model_fingerprint, learnt.leakage_sheet)


def _leakage_sheet(
    context: StageContext, scope: PredictiveScope, splits: Splits, test: pd.DataFrame, names: list[str]
) -> tuple[SheetRow, ...]:
    """What covers each type of leakage, from the gates and the audit that the inputs were published with."""
    published = context.inputs["splits"]
    audit = published.attributes.get(LEAKAGE, {}).get(scope.target)
    return leakage_sheet(
        Evidence(
            gates={**published.gates, **context.inputs["model"].attributes.get(PREPROCESSOR_GATES, {})},
            audit=_audit(audit) if audit else None,
            test_rows=len(test),
            features=names,
            declared=[feature.name for feature in splits.features],
            largest_shift=largest_shift(splits.train, test, names),
            after_train=_after_train(test["index_date"], splits.train["index_date"]),
        )
    )


def _audit(stored: dict[str, Any]) -> LeakageReport:
    """The audit as the splits were published with it; earlier releases also stored whether it was `ok`."""
    return from_json(LeakageReport, {name: value for name, value in stored.items() if name != "ok"})


def _after_train(test: pd.Series, train: pd.Series) -> float | None:
    """Share of test rows after the last of train; None where nobody has an index date."""
    return float((test > train.max()).mean()) if train.notna().any() else None


def _log(context: StageContext, result: Evaluation, plots: dict[str, bytes], passed: bool) -> str:
    """Go on with the MLflow run of the model; returns its page."""
    figures = {
        f"{split}_{name}": value
        for split, metrics in result.metrics.items()
        for name, value in metrics.items()
        if value is not None
    }
    ends = {
        f"test_{name}_{end}": value
        for name, interval in result.intervals["test"].items()
        if interval is not None
        for end, value in zip(("low", "high"), interval, strict=True)
    }
    baseline = {} if result.baseline is None else {f"baseline_{result.primary_metric}": result.baseline}
    return context.tracking.add(
        context.inputs["model"].attributes[MLFLOW_RUN],
        metrics=figures | ends | baseline,
        tags={
            "primary_metric": result.primary_metric,
            "success_criteria": "passed" if passed else "failed",
        },
        files={"plots": plots},
    )
