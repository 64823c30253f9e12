"""Models of effects on patients who came since: who is treated, and whether effects come true."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.uplift.rows import CausalRows
from e2i_assets.monitoring.effects import (
    AVERAGE,
    BEYOND_PREDICTED,
    OUTSIDE_OVERLAP,
    TREATED_BEYOND_EXPECTED,
    assignment_baselines,
    assignment_figures,
    effect_figures,
)
from e2i_assets.monitoring.model_profile import Baseline
from e2i_assets_tests.unit.fail_closed.effects import SCOPE
from e2i_assets_tests.unit.fail_closed.watching import PROFILE

RNG = np.random.default_rng(0)
PROPENSITY = RNG.uniform(0.2, 0.8, 1000)
TREATED = (RNG.random(1000) < PROPENSITY).astype(float)
WATCHED = dataclasses.replace(
    PROFILE,
    figures=assignment_baselines(TREATED, PROPENSITY, None)
    | {AVERAGE: Baseline(0.3, 0.2, 0.4), BEYOND_PREDICTED: Baseline(0.0, -0.1, 0.1)},
)


@pytest.mark.parametrize(
    ("treated_more", "without_choice", "drifted"),
    [(0, 0, set()), (0.25, 0, {TREATED_BEYOND_EXPECTED}), (0, 0.3, {OUTSIDE_OVERLAP})],
)
def test_who_is_treated_is_watched_without_an_outcome(
    treated_more: float, without_choice: float, drifted: set[str]
) -> None:
    propensity = np.where(RNG.random(500) < without_choice, 0.97, RNG.uniform(0.2, 0.8, 500))
    t = (RNG.random(500) < propensity + treated_more).astype(float)
    found = list(assignment_figures(WATCHED, t, propensity, None))
    assert {figure.metric for figure in found if figure.severity != "none"} == drifted
    of_one = list(assignment_figures(WATCHED, t, propensity, np.zeros(500)))
    assert {figure.severity for figure in of_one} == {"none"}  # one cluster is no evidence


def newcomers(rows: int, effect: float) -> CausalRows:
    rng = np.random.default_rng(1)
    x = rng.normal(size=rows)
    t = (rng.random(rows) < 1 / (1 + np.exp(-x))).astype(int)
    y = (rng.random(rows) < 0.5 + 0.1 * np.tanh(x) + effect * (t - 0.5)).astype(float)
    frame = pd.DataFrame({"x": x, SCOPE.treatment: t, SCOPE.target: y})
    return CausalRows(frame, SCOPE, (Feature(name="x", kind="numeric", source="table"),))


def test_an_effect_that_does_not_come_true_is_told() -> None:
    unavailable: dict[str, str] = {}
    rows = newcomers(400, -0.4)
    found = {one.metric: one for one in effect_figures(WATCHED, rows, np.full(400, 0.3), unavailable)}
    assert found[BEYOND_PREDICTED].severity == "medium"
    assert found[BEYOND_PREDICTED].high < -0.3
    assert found[AVERAGE].value == pytest.approx(-0.4, abs=0.15)
    assert "same effect" in unavailable["qini"]


@pytest.mark.parametrize(("rows", "why"), [(newcomers(40, 0), "not yet 50"), (newcomers(60, 0), "one arm")])
def test_patients_who_cannot_tell_an_effect_do_not(rows: CausalRows, why: str) -> None:
    if len(rows.frame) == 60:
        rows.frame[SCOPE.treatment] = 1
    unavailable: dict[str, str] = {}
    assert list(effect_figures(WATCHED, rows, np.zeros(len(rows.frame)), unavailable)) == []
    assert why in unavailable["effect"]
