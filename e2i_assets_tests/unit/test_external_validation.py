"""A model elsewhere: what recalibration finds, on whom it is judged, and how two populations are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from e2i_assets.modeling.metrics.calibration import calibration_line
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.validation.errors import NotValidated
from e2i_assets.validation.external import IN_THE_LARGE, LINE, SERVED, judge, unseen_levels
from e2i_assets.validation.page import calibration_picture
from e2i_assets.validation.population import POOLED, compare_populations
from e2i_assets_tests.serving_toy import feature

ROWS = 1_000


def off(kind: str, rows: int = ROWS, seed: int = 0) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Outcomes, and predictions that are twice too extreme, or half as steep, and shifted."""
    rng = np.random.default_rng(seed)
    if kind == "binary":
        odds = rng.normal(size=rows)
        y = (rng.random(rows) < expit(odds)).astype(int)
        return Binary(), y, expit(2 * odds + 1)
    if kind == "multiclass":
        logs = rng.normal(size=(rows, 3))
        truth = softmax(logs, axis=1)
        y = (truth.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
        return Multiclass(("a", "b", "c")), y, softmax(2 * np.log(truth) + [0, 1, -1], axis=1)
    mean = rng.normal(10, 3, rows)
    return Regression(), 2 * mean + 5 + rng.normal(size=rows), mean


def frame(rows: int = ROWS, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": np.arange(rows) // 2, **columns})


def test_the_line_of_probabilities_is_coxs() -> None:
    problem, y, p = off("binary")
    slope, shift = calibration_line(y, p)
    line, large = (problem.correction(y, p, slope=with_slope) for with_slope in (True, False))
    assert line.slope == pytest.approx(slope, abs=1e-3)
    assert (large.slope, large.intercepts[0]) == (1, pytest.approx(shift, abs=1e-3))
    # Of these very rows nothing is left to correct.
    again = problem.correction(y, problem.corrected(line, p), slope=True)
    assert (again.slope, again.intercepts[0]) == (
        pytest.approx(1, abs=1e-2),
        pytest.approx(0, abs=1e-2),
    )


@pytest.mark.parametrize(
    ("kind", "slope", "intercepts"),
    [("binary", 0.5, [-0.5]), ("multiclass", 0.5, [-0.5, 0.5]), ("regression", 2, [5])],
)
def test_what_is_known_to_be_off_is_found_and_mended(
    kind: str, slope: float, intercepts: list[float]
) -> None:
    problem, y, prediction = off(kind, seed=3)
    judged = judge(problem, y, prediction, 0.5, frame(), minimum=5)
    found = judged.corrections[LINE]
    assert "slope" not in judged.corrections[IN_THE_LARGE]
    assert found["slope"].low < slope < found["slope"].high
    parts = [one for name, one in found.items() if name != "slope"]
    for one, intercept in zip(parts, intercepts, strict=True):
        assert one.low < intercept < one.high
    metric = {"binary": "brier", "multiclass": "brier", "regression": "rmse"}[kind]
    served, large, line = (judged.figures[way][metric].value for way in (SERVED, IN_THE_LARGE, LINE))
    assert line < large < served
    assert judged.figures[LINE][metric].high < judged.figures[SERVED][metric].low
    assert calibration_picture(judged.calibration).startswith(b"\x89PNG")


def test_recalibration_is_not_judged_on_what_it_was_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is off a correction can only fit noise: on its own rows it would look better."""
    problem, y, _ = off("binary", 200, seed=1)
    p = np.full(200, y.mean())
    p = np.clip(p + np.random.default_rng(2).normal(0, 0.05, 200), 0.01, 0.99)
    people = frame(200)
    inside = problem.metrics(y, problem.corrected(problem.correction(y, p, slope=True), p), 0.5)["log_loss"]
    judged = judge(problem, y, p, 0.5, people, minimum=5)
    assert inside < judged.figures[SERVED]["log_loss"].value
    assert judged.figures[LINE]["log_loss"].value > inside

    patients, fitted = people["patient_id"].to_numpy(), []
    original = Binary.correction
    place = {value: number for number, value in enumerate(p)}

    def watched(self: Binary, y: np.ndarray, prediction: np.ndarray, *, slope: bool) -> Any:
        fitted.append({patients[place[value]] for value in prediction})
        return original(self, y, prediction, slope=slope)

    corrected = Binary.corrected

    def applied(self: Binary, correction: Any, prediction: np.ndarray) -> np.ndarray:
        assert not fitted[-1] & {patients[place[value]] for value in prediction}
        return corrected(self, correction, prediction)

    monkeypatch.setattr(Binary, "correction", watched)
    monkeypatch.setattr(Binary, "corrected", applied)
    judge(problem, y, p, 0.5, people, minimum=5)
    assert len(fitted) > 10


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_of_too_few_outcomes_nothing_is_said(kind: str) -> None:
    problem, y, prediction = off(kind, 80)
    with pytest.raises(NotValidated, match="fewer than 50 patients") as refused:
        judge(problem, y, prediction, 0.5, frame(80), minimum=5)
    assert refused.value.code == "too_few_outcomes"
    if problem.of_classes:
        problem, y, prediction = off(kind)
        y = np.where((y == 1) & (np.arange(ROWS) > 8), 0, y)
        with pytest.raises(NotValidated, match="have the outcome"):
            judge(problem, y, prediction, 0.5, frame(), minimum=5)


def test_groups_are_told_and_what_the_frame_lacks_is_said() -> None:
    problem, y, prediction = off("binary")
    judged = judge(
        problem, y, prediction, 0.5, frame(gender=np.where(np.arange(ROWS) < 3, "X", "F")), minimum=5
    )
    (few, many) = sorted(judged.subgroups, key=lambda group: group.level, reverse=True)
    assert (few.level, few.value) == ("X", None)
    assert many.value is None  # the other could be worked out
    assert "groups by region" in judged.unavailable


def test_populations_are_compared_without_small_cells() -> None:
    features = [feature("age", "numeric"), feature("smoker", "boolean"), feature("region", "categorical")]
    rng = np.random.default_rng(0)
    first = pd.DataFrame(
        {
            "age": rng.normal(50, 10, 1000),
            "smoker": rng.random(1000) < 0.3,
            "region": ["n"] * 600 + ["s"] * 400,
        }
    ).astype({"smoker": float})
    second = pd.DataFrame(
        {"age": rng.normal(60, 10, 500), "smoker": rng.random(500) < 0.6,
         "region": ["n"] * 300 + ["s"] * 197 + ["west"] * 3}
    ).astype({"smoker": float})  # fmt: skip
    second.loc[:99, "age"] = np.nan
    told = {(c.feature, c.level): c for c in compare_populations(first, second, features, minimum=5)}
    assert told["age", ""].difference == pytest.approx(1.0, abs=0.15)
    assert told["age", "not known"].target.value == 0.2
    assert told["smoker", "yes"].difference == pytest.approx(0.63, abs=0.12)
    # Three patients of the west would follow from the others' shares: they are told with the next level.
    assert {level for name, level in told if name == "region"} == {"n", POOLED}
    assert unseen_levels(first, second, features) == {"region": pytest.approx(3 / 500)}
