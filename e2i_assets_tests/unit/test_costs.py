"""Costs of errors in a scope: positive numbers, for a question of yes or no alone."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from e2i_assets.assets.evaluation import _learnt
from e2i_assets.modeling.artifacts import Evaluated
from e2i_assets.modeling.evaluation.evaluate import evaluate
from e2i_assets.resources.sealing import VaultError
from e2i_assets_tests.unit.modeling_frames import TEST, TRAIN, VALIDATION, scope, trained


def test_costs_choose_the_rule_and_no_other_model() -> None:
    asked = scope(costs={"false_positive": 1, "false_negative": 5})
    assert asked.problem == scope().problem
    assert "1 for each false positive and 5 for each false negative" in asked.problem.threshold_rule
    assert scope().problem.threshold_rule.startswith("Youden")


@pytest.mark.parametrize(
    "costs",
    [
        {"false_positive": 0, "false_negative": 5},
        {"false_positive": 1, "false_negative": -5},
        {"false_positive": 1},
        {"false_positive": 1, "false_negative": float("inf")},
        {"false_positive": 1, "false_negative": 5, "true_positive": 1},
    ],
)
def test_costs_that_are_none_are_refused(costs: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="costs"):
        scope(costs=costs)


def test_a_number_has_no_costs() -> None:
    with pytest.raises(ValidationError, match="costs"):
        scope(
            problem_type="regression",
            success_criteria={"max_rmse": 1},
            costs={"false_positive": 1, "false_negative": 5},
        )


@pytest.mark.parametrize("rule", [True, False], ids=["recorded", "of a release that knew no costs"])
def test_a_threshold_of_other_costs_is_not_taken_for_this_one(rule: bool) -> None:
    model = trained("LogisticRegression")
    result = evaluate(model, TEST, VALIDATION, TRAIN)
    result = result if rule else dataclasses.replace(result, threshold_rule="")
    record = TypeAdapter(Evaluated).dump_python(Evaluated(result, model.fingerprint, ()), mode="json")
    context: Any = SimpleNamespace(
        vault=SimpleNamespace(result=lambda *_: record),
        partition="p",
        quality=SimpleNamespace(minimum_cell_count=5),
    )
    taken = _learnt(context, scope(), model)
    assert taken is not None
    assert taken.evaluation.threshold == result.threshold
    with pytest.raises(VaultError, match="threshold by Youden"):
        _learnt(context, scope(costs={"false_positive": 1, "false_negative": 5}), model)
