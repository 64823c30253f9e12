"""How good a trained model is on the test split, and whether that is good enough. Aggregates only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from e2i_assets.cohorts.small_cells import MINIMUM_CELL_COUNT
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.evaluation.comparing import compared_with, fit_simple
from e2i_assets.modeling.evaluation.subgroups import subgroup_table
from e2i_assets.modeling.problems.base import Evaluation, Metrics, Problem
from e2i_assets.modeling.scopes.problem_types import problem_of
from e2i_assets.modeling.scopes.scope import PLAUSIBILITY, Criterion, PredictiveScope, SuccessCriteria
from e2i_assets.modeling.training.model import TrainedModel


def evaluate(
    trained: TrainedModel,
    test: LabelledSplit,
    validation: LabelledSplit,
    train: LabelledSplit,
    *,
    groups: pd.DataFrame | None = None,
    minimum: int = MINIMUM_CELL_COUNT,
    truth: np.ndarray | None = None,
) -> Evaluation:
    """Score a model once on test; a decision threshold comes from validation.

    A simple model is fitted on train and scored on the same test rows.

    Args:
        groups: levels of the test rows, one column per dimension (`subgroups.groups_of`).
        minimum: patients below whom no figure of a group is told.
        truth: what the true process expects of each test row, in the shape of a prediction.

    Raises:
        TrainingDataError: the model was trained for another kind of target, or for other classes.
    """
    problem = test.problem
    require_trained_for(trained, problem)
    splits = {"train": train, "validation": validation, "test": test}
    predicted = {name: trained.predict(split.X) for name, split in splits.items()}
    threshold = problem.threshold(validation.y, predicted["validation"])
    scored = {name: (split.y, predicted[name], threshold) for name, split in splits.items()}
    simple = fit_simple(trained, train)
    on_test = predicted["test"]
    return Evaluation(
        problem_type=problem.problem_type,
        primary_metric=problem.primary_metric,
        fingerprint=trained.fingerprint,
        algorithm=trained.algorithm,
        metrics={name: problem.metrics(*of) for name, of in scored.items()},
        intervals={name: problem.intervals(*of) for name, of in scored.items()},
        curves=problem.curves(*scored["test"])
        | ({"learning": [dict(point) for point in trained.learning_curve]} if trained.learning_curve else {}),
        threshold=threshold,
        baseline=problem.measure(test.y, problem.baseline_prediction(trained.baseline, len(test.y))),
        n_test=len(test.y),
        n_validation=len(validation.y),
        n_train=len(train.y),
        threshold_rule=problem.threshold_rule,
        calibration=trained.calibration,
        compared=(
            compared_with(
                type(simple[-1]).__name__, problem, test.y, on_test, problem.predict(simple, test.X)
            ),
        ),
        oracle=None if truth is None else problem.measure(test.y, truth),
        subgroups=()
        if groups is None
        else subgroup_table(problem, test.y, on_test, groups, minimum=minimum, patients=test.patients),
        unavailable=dict(trained.unavailable)
        | {
            f"{name} {metric}": reason
            for name, of in scored.items()
            for metric, reason in problem.reasons(*of).items()
        },
    )


def require_trained_for(trained: TrainedModel, problem: Problem) -> None:
    """Check that a model answers the question that is asked now.

    Raises:
        TrainingDataError: it was trained for another kind of target, or for other classes.
    """
    if trained.problem != problem:
        raise TrainingDataError(
            f"the model was trained for {_asked(trained.problem)}, the scope asks for {_asked(problem)}",
            next_step="Materialize the trained model again.",
        )


def _asked(problem: Problem) -> str:
    return " of ".join([problem.problem_type, *filter(None, [", ".join(problem.labels)])])


class CriterionResult(NamedTuple):
    """One success criterion and how the model did; `value` is None where there is none, `reason` in words,
    and `told` is the value as a person reads it.
    """

    name: str
    value: float | None
    threshold: float
    ok: bool
    reason: str
    told: str = "unavailable"


def meets(criteria: SuccessCriteria, evaluation: Evaluation) -> tuple[CriterionResult, ...]:
    """Judge a model by its scope's criteria, on test. What is unknown or missing is not met."""
    problem = problem_of(evaluation.problem_type)
    return tuple(_judge(criterion, problem, evaluation.metrics.get("test", {})) for criterion in criteria)


def plausibility(
    scope: PredictiveScope, evaluation: Evaluation, undeclared: Sequence[str]
) -> CriterionResult:
    """Whether what the model reaches on test is something that nobody has to answer for.

    Args:
        undeclared: features of the model that nobody has declared as known on the index date.
    """
    metric, (named, limit) = scope.problem.plausible_metric, scope.plausible
    name, value = f"{PLAUSIBILITY}{named}", evaluation.metrics.get("test", {}).get(metric)
    if value is None:
        return CriterionResult(name, None, limit, False, f"{metric} could not be computed on test")
    readable = scope.problem.figure(metric, value)
    suspicion = f"a test {metric} of {value:.4f}, more than the {limit:g} that is plausible"
    if value <= limit:
        return CriterionResult(
            name, value, limit, True, f"test {metric} {value:.4f}, at most {limit:g}", readable
        )
    if undeclared:
        question = f"{suspicion}; nobody has said when {', '.join(undeclared)} are known"
        return CriterionResult(name, value, limit, False, question, readable)
    return CriterionResult(
        name, value, limit, True, f"{suspicion}; every feature is declared as known before", readable
    )


def lift(scope: PredictiveScope, evaluation: Evaluation) -> CriterionResult | None:
    """Whether the model beats the baseline that its scope names, on test; None where it names none."""
    if scope.baseline is None:
        return None
    name, wanted = f"min_lift_over_{scope.baseline.model}", scope.baseline.min_lift
    simple = evaluation.compared[0].value if evaluation.compared else None
    base = evaluation.baseline if scope.baseline.model == "no_features" else simple
    ours, metric = evaluation.primary("test"), evaluation.primary_metric
    if not base or ours is None or not np.isfinite(ours):
        return CriterionResult(name, None, wanted, False, f"{metric} cannot be compared on test")
    gained = (ours - base if scope.problem.greater_is_better else base - ours) / abs(base)
    figure = scope.problem.figure
    reason = f"{metric} {figure(metric, ours)} over {figure(metric, base)}: {gained:+.1%} of {wanted:+.1%}"
    return CriterionResult(name, gained, wanted, gained >= wanted, reason, f"{gained:+.1%}")


def _judge(criterion: Criterion, problem: Problem, metrics: Metrics) -> CriterionResult:
    name, bound, metric, threshold = criterion
    if metric not in problem.criteria:
        return CriterionResult(name, None, threshold, False, f"there is no metric {metric}")
    value = metrics.get(problem.criteria[metric])
    if value is None or not np.isfinite(value):
        return CriterionResult(name, None, threshold, False, f"{metric} could not be computed on test")
    ok = value >= threshold if bound == "min" else value <= threshold
    wanted = "at least" if bound == "min" else "at most"
    measured = problem.criteria[metric]
    exact = f"{value:.4g}" if measured in problem.in_unit else f"{value:.4f}"
    reason = f"{metric} {exact}, {wanted} {threshold:g} wanted"
    return CriterionResult(name, value, threshold, ok, reason, problem.figure(measured, value))
