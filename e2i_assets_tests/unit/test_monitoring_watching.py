"""How a version does on patients that it never saw: measured, or estimated from what it predicts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from e2i_assets.modeling.metrics.delong import roc_auc
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.monitoring.model_profile import Baseline
from e2i_assets.monitoring.performance import expected_metrics, expected_roc_auc, severity_of_loss
from e2i_assets.monitoring.watching import Seen, Watched, watch
from e2i_assets_tests.unit.fail_closed.watching import PROFILE, TABLE

RNG = np.random.default_rng(0)
CALIBRATED = RNG.beta(2, 3, 4000)
OUTCOMES = (RNG.random(4000) < CALIBRATED).astype(float)


def watched(y: np.ndarray | None, predicted: np.ndarray, profile=PROFILE, problem=None) -> Watched:
    seen = Seen(TABLE, predicted=predicted, outcomes=y, predicted_of_known=None if y is None else predicted)
    return watch(profile, seen, problem or Binary())


def test_calibrated_probabilities_tell_their_own_metrics() -> None:
    implied, measured = expected_metrics(CALIBRATED, 0.3), Binary().metrics(OUTCOMES, CALIBRATED, 0.3)
    assert len(implied) == 8
    assert implied == {name: pytest.approx(measured[name], abs=0.03) for name in implied}
    several = RNG.dirichlet([1, 2, 3], 4000)
    of_class = (RNG.random((4000, 1)) > several.cumsum(axis=1)).sum(axis=1)
    implied = expected_metrics(several, None)
    measured = Multiclass(("a", "b", "c")).metrics(of_class, several, None)
    assert implied.keys() == {"accuracy", "brier", "log_loss"}
    assert implied == {name: pytest.approx(measured[name], abs=0.03) for name in implied}
    assert (
        expected_metrics(np.full(50, 0.3), 0.5)["precision_at_threshold"] is None
    )  # nobody is decided positive


def test_what_speaks_against_calibration_forbids_estimates() -> None:
    off = dataclasses.replace(PROFILE, figures={"calibration_slope": Baseline(0.6, 0.5, 0.7)})
    found = watched(None, CALIBRATED, off)
    assert "not calibrated at training" in found.unavailable["estimate"]
    assert (found.figures, found.assumption) == ((), "")
    fine = dataclasses.replace(PROFILE, figures={"calibration_intercept": Baseline(0, -0.1, 0.1)})
    found = watched((RNG.random(4000) < CALIBRATED / 3).astype(float), CALIBRATED, fine)
    assert "known speak against" in found.unavailable["estimate"]
    assert {figure.source for figure in found.figures} == {"measured"}


def test_calibrated_probabilities_tell_the_area_under_their_curve() -> None:
    assert expected_roc_auc(CALIBRATED) == pytest.approx(roc_auc(OUTCOMES, CALIBRATED), abs=0.02)
    assert expected_roc_auc(np.full(50, 0.3)) is None
    assert expected_roc_auc(np.array([0.0, 1.0] * 20)) == 1.0


@pytest.mark.parametrize(
    ("value", "interval", "greater_is_better", "severity"),
    [
        (0.78, (0.74, 0.82), True, "none"),  # chance explains it
        (0.60, (0.55, 0.65), True, "critical"),
        (0.71, (0.70, 0.72), True, "none"),
        (0.735, (0.73, 0.74), False, "none"),
        (0.95, (0.93, 0.97), False, "high"),
        (0.60, None, True, "none"),
    ],
)
def test_a_loss_is_told_where_chance_does_not_explain_it(
    value, interval, greater_is_better, severity
) -> None:
    at_training = Baseline(0.8, 0.72, 0.88)
    assert severity_of_loss(value, interval, at_training, greater_is_better=greater_is_better) == severity


def test_outcomes_that_do_not_follow_the_predictions_are_told() -> None:
    as_before = watched(
        OUTCOMES, CALIBRATED, dataclasses.replace(PROFILE, figures={"roc_auc": Baseline(0.7, 0.65, 0.75)})
    )
    assert as_before.severities["concept"] == "none"
    assert {figure.source for figure in as_before.figures} == {"measured", "estimated"}
    at_random = watched(RNG.permutation(OUTCOMES), CALIBRATED)
    assert at_random.severities["concept"] == "critical"
    assert "roc_auc" in at_random.drifted


@pytest.mark.parametrize(
    ("y", "problem", "what", "why"),
    [
        (None, Binary(), "concept", "not yet 50 outcomes"),
        (OUTCOMES[:40], Binary(), "concept", "not yet 50 outcomes"),
        (np.zeros(60), Binary(), "concept", "alike"),
        (None, Regression(), "estimate", "nothing sound"),
    ],
)
def test_what_cannot_be_said_is_said(y, problem, what, why) -> None:
    profile = PROFILE if problem == Binary() else dataclasses.replace(PROFILE, metric="rmse")
    predicted = CALIBRATED[: 4000 if y is None else len(y)]
    assert why in watched(y, predicted, profile, problem).unavailable[what]


def test_few_newcomers_are_not_judged() -> None:
    few = watch(PROFILE, Seen(TABLE.head(10)), Binary())
    assert not few.judged
    assert few.summary.startswith("Nothing to judge yet")
    assert isinstance(few.profile.features.columns, dict)
    assert watch(PROFILE, Seen(pd.DataFrame(TABLE)), Binary()).severity == "none"
