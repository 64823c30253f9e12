"""What each refutation says of estimates that are given: where they are not well it fails."""

from __future__ import annotations

import numpy as np
import pytest

from e2i_assets.causal.calibration import calibrate, systematic_error
from e2i_assets.causal.estimands import Scores
from e2i_assets.causal.refutation import _as_wide, _control, _misses, _unmoved, _verdict

ROWS = np.random.default_rng(0).normal(size=400)
ERROR = Scores(0.0, ROWS).standard_error


def estimates(deviation: float, shift: float = 0.0, draws: int = 40) -> list[Scores]:
    """Estimates around `shift`, with a deviation in standard errors."""
    drawn = np.random.default_rng(1).normal(size=draws)
    drawn = (drawn - drawn.mean()) / drawn.std()
    return [Scores(float(shift + ERROR * deviation * z), ROWS) for z in drawn]


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [(estimates(1.0), "passed"), (estimates(1.6), "failed"), (estimates(1.0, shift=2 * ERROR), "failed")],
)
def test_intervals_that_miss_the_truth_too_often(scores: list[Scores], verdict: str) -> None:
    assert _misses("placebo_treatment", scores, 0.0).verdict == verdict


@pytest.mark.parametrize(("deviation", "verdict"), [(1.0, "passed"), (1.2, "passed"), (1.9, "failed")])
def test_estimates_that_vary_more_than_they_say(deviation: float, verdict: str) -> None:
    assert _as_wide(estimates(deviation), ERROR).verdict == verdict


@pytest.mark.parametrize(("shift", "verdict"), [(0.3, "passed"), (2.2, "warning"), (4.0, "failed")])
def test_a_covariate_that_means_nothing_moves_nothing(shift: float, verdict: str) -> None:
    assert _unmoved(estimates(0.1, shift=shift * ERROR), 0.0, ERROR).verdict == verdict
    assert _control("negative_control_outcome", "c", Scores(shift * ERROR, ROWS)).verdict == verdict


def test_the_systematic_error_is_found_behind_the_random_one() -> None:
    rng = np.random.default_rng(2)
    errors = rng.uniform(0.05, 0.2, 400)
    seen = rng.normal(0.3, 0.1, 400) + rng.normal(size=400) * errors
    assert systematic_error(seen, errors) == pytest.approx((0.3, 0.1), abs=0.03)
    assert systematic_error(rng.normal(size=400) * errors, errors) == pytest.approx((0, 0), abs=0.03)


def test_an_estimate_as_large_as_the_error_of_controls_is_no_finding() -> None:
    controls = [(0.3 + d, 0.05) for d in (-0.1, -0.05, 0.0, 0.05, 0.1)]
    calibrated_error = calibrate(0.35, 0.05, controls)
    assert calibrated_error is not None
    assert calibrated_error.p > 0.3
    assert calibrate(1.5, 0.05, controls).p < 0.001  # type: ignore[union-attr]
    assert calibrate(0.35, 0.05, controls[:4]) is None


def test_a_p_value_that_is_none_does_not_pass() -> None:
    assert _verdict(float("nan")) == "failed"
