"""The graph of causes that a scope gives is one of its question, or the scope is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from e2i_assets.causal import CausalDataError
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.contradictions import contradictions
from e2i_assets.modeling.uplift.rows import causal_rows
from e2i_assets_tests.unit.fail_closed.effects import FEATURES, SCOPE, table


def asked(*graph: str, **changes: object) -> CausalScope:
    return CausalScope.model_validate(SCOPE.model_dump() | {"graph": graph} | changes)


def test_a_graph_refuses_a_covariate_by_name() -> None:
    rows = causal_rows([table()], FEATURES, asked("age -> engaged -> severity -> started", "age -> started"))
    for refused in (rows.effect, rows.cross_validated):
        with pytest.raises(CausalDataError, match="severity, a mediator from engaged to started"):
            refused(seed=0)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (("age, engaged",), "graph, line 1"),
        (("engaged -> started -> engaged",), "a cycle"),
        (("age -> started",), "does not have engaged"),
        (("engaged -> age", "severity -> started"), "nothing leads from engaged to started"),
    ],
)
def test_a_scope_with_a_graph_that_is_none_is_refused(graph: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        asked(*graph)


MEDIATED = ("age -> engaged -> visits -> started", "age -> started", "engaged -> started")


@pytest.mark.parametrize(
    ("graph", "changes", "words"),
    [
        ((), {"features": {"selection": {"top_k": 3}}}, "a rule could leave a confounder out"),
        ((), {"features": {"required": ["age"]}, "negative_outcomes": ["age"]}, "age: a negative outcome as well"),
        ((), {"negative_exposures": ["age", "age"]}, "age: named twice"),
        ((), {"clusters": "engaged"}, "engaged is the treatment"),
        (MEDIATED, {"features": {"required": ["severity"]}}, "severity: not in the graph"),
        (MEDIATED, {"negative_outcomes": ["visits"]}, "visits: follows by the graph from engaged"),
        (MEDIATED, {"negative_exposures": ["age"]}, "age: causes started by the graph"),
        (MEDIATED, {"negative_exposures": ["severity"]}, None),
        (MEDIATED, {"negative_outcomes": ["severity"], "features": {"required": ["age"]}}, None),
    ],
)  # fmt: skip
def test_what_a_scope_says_of_features_and_controls_fits_its_graph(
    graph: tuple[str, ...], changes: dict[str, object], words: str | None
) -> None:
    reasons = [one.reason for one in contradictions(asked(*graph, **changes))]
    assert reasons == [] if words is None else len(reasons) == 1 and words in reasons[0]
