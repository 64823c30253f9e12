"""A graph of causes: what may be adjusted for, and what must be."""

from __future__ import annotations

import pytest

from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.graph import CausalGraph

CONFOUNDED = ["age -> call -> sale", "age -> sale"]
COLLIDER = ["age -> call -> sale", "age -> visit", "income -> visit", "income -> sale"]


@pytest.mark.parametrize(
    ("arrows", "covariates", "message"),
    [
        (["call -> mood -> sale"], ["mood"], "mood, a mediator from call to sale"),
        (["call -> sale -> refill"], ["refill"], "refill, a consequence of sale"),
        (["call -> sale", "call -> diary"], ["diary"], "diary, a consequence of call"),
        (["call -> sale"], ["sale"], "sale, treatment or outcome itself"),
        (COLLIDER, ["visit"], "visit, a collider.*call <- age -> visit <- income -> sale"),
        ([*COLLIDER, "visit -> form"], ["form"], "form, a collider"),
        (
            [*COLLIDER, "age -> score", "income -> score"],
            ["visit", "score"],
            "score, visit, a collider",
        ),
        (CONFOUNDED, [], "open back door: call <- age -> sale; lacking among the covariates: age"),
        ([*CONFOUNDED, "plan -> call", "plan -> sale"], ["age"], "call <- plan -> sale; lacking .*: plan"),
        (CONFOUNDED, ["age", "region"], "does not have these covariates: region"),
        (["call -> mood", "age -> sale"], ["age"], "nothing leads from call to sale"),
        (["age -> sale"], ["age"], "does not have call"),
    ],
)
def test_an_adjustment_that_does_not_fit_is_refused_by_name(
    arrows: list[str], covariates: list[str], message: str
) -> None:
    with pytest.raises(CausalDataError, match=message) as refused:
        CausalGraph.parse(arrows).check("call", "sale", covariates)
    assert refused.value.next_step


@pytest.mark.parametrize(
    ("arrows", "covariates"),
    [
        (CONFOUNDED, ["age"]),
        (COLLIDER, []),
        (COLLIDER, ["visit", "income"]),
        (["lot -> call -> sale", "age -> sale"], ["age"]),
        (["age -> call", "call -> sale"], []),
    ],
)
def test_an_adjustment_that_closes_every_back_door_is_taken(arrows: list[str], covariates: list[str]) -> None:
    CausalGraph.parse(arrows).check("call", "sale", covariates)


def test_an_adjustment_set_is_the_causes_of_the_outcome() -> None:
    graph = CausalGraph.parse([*CONFOUNDED, "lot -> call", "call -> mood -> sale", "price -> sale"])
    assert graph.adjustment_set("call", "sale") == ("age", "price")
    graph.check("call", "sale", graph.adjustment_set("call", "sale"))


def test_causes_of_the_treatment_stand_in_for_what_nobody_measured() -> None:
    graph = CausalGraph.parse(["need -> plan -> call -> sale", "need -> sale"])
    assert graph.adjustment_set("call", "sale", measured=["plan"]) == ("plan",)
    with pytest.raises(CausalDataError, match="call <- plan <- need -> sale; lacking"):
        graph.adjustment_set("call", "sale", measured=[])


@pytest.mark.parametrize(
    ("arrows", "message"),
    [
        ([], "no arrows"),
        (["age -> call", "age, call"], "line 2: 'age, call' is no arrow"),
        (["age -> "], "line 1"),
        (["age -> call -> sale -> age"], "a cycle: age -> call -> sale -> age"),
    ],
)
def test_a_graph_that_is_none_is_refused(arrows: list[str], message: str) -> None:
    with pytest.raises(CausalDataError, match=message):
        CausalGraph.parse(arrows)


def test_a_node_is_taken_apart_into_its_columns() -> None:
    graph = CausalGraph.parse(CONFOUNDED)
    parts = {"age": ("x0", "x1"), "call": ("t",), "sale": ("y",)}
    assert graph.expanded(parts) == [("x0", "t"), ("x1", "t"), ("t", "y"), ("x0", "y"), ("x1", "y")]
