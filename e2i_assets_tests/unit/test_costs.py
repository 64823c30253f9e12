"""Costs of errors in a scope: positive numbers, for a question of yes or no alone."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from e2i_assets_tests.unit.modeling_frames import scope


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
