from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.modeling.selection.algorithms import COARSE_BINS
from e2i_assets.modeling.training.fitting import Matrices
from e2i_assets.modeling.tuning import rungs as rungs_module
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig
from e2i_assets.modeling.tuning.rungs import promoted, rungs, work
from e2i_assets.modeling.tuning.study import TunedParams, tune
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION, candidate

PREPROCESSOR = fit_preprocessor(TRAIN.X, FEATURES)


def data(rows: int, positive: float = 0.3) -> Matrices:
    y = (np.arange(rows) < positive * rows).astype(np.int8)
    X = np.arange(rows, dtype=float)[:, None]
    return Matrices(X, y, X[: rows // 3], y[: rows // 3])


@pytest.mark.parametrize(("rows", "positive", "problem", "expected"), [
    (29_999, 0.3, Binary(), [29_999]),
    (30_000, 0.3, Binary(), [7_500, 30_000]),
    (120_000, 0.3, Binary(), [7_500, 30_000, 120_000]),
    (120_000, 0.02, Binary(), [30_000, 120_000]),  # 2,400 positives: 600 of them on the rung below
    (120_000, 0.01, Binary(), [120_000]),
    (120_000, 0.01, Regression(), [7_500, 30_000, 120_000]),
])  # fmt: skip
def test_rungs_shrink_as_long_as_they_tell_something(
    rows: int, positive: float, problem: Problem, expected: list[int]
) -> None:
    assert [len(level.y_train) for level in rungs(data(rows, positive), problem, seed=1)] == expected


def test_a_rung_is_a_sample_that_keeps_the_shares_and_has_enough_to_score_on() -> None:
    everything = data(120_000)
    first, second, last = rungs(everything, Binary(), seed=1)
    assert last is everything
    assert len(np.unique(first.X_train)) == 7_500
    assert first.y_train.mean() == pytest.approx(0.3, abs=1e-3)
    assert (len(first.y_validation), len(second.y_validation)) == (7_500, 10_000)
    again = rungs(everything, Binary(), seed=1)[0]
    assert np.array_equal(first.X_train, again.X_train)
    assert not np.array_equal(first.X_train, rungs(everything, Binary(), seed=2)[0].X_train)


def test_few_come_to_the_last_rung_and_more_to_each_before() -> None:
    assert [promoted(level, 3) for level in (1, 2)] == [4, 1]


def test_work_counts_the_rounds_that_were_made() -> None:
    assert work(100, None) == 100
    assert work(100, 40) == 4_000
    assert work(100, 40, stopped_early=True) == 7_000
    assert work(100, 490, stopped_early=True) == 50_000


@pytest.fixture
def three_rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rungs_module, "SMALLEST", 20)
    monkeypatch.setattr(rungs_module, "SMALLEST_CLASS", 5)


def study(**limits: Any) -> TunedParams:
    config = OptunaConfig(optimization=OptimizationConfig(**limits))
    return tune(candidate("LightGBM"), PREPROCESSOR, TRAIN, VALIDATION, config, study_name="s")


@pytest.mark.usefixtures("three_rungs")
def test_only_the_best_and_the_defaults_are_fitted_on_all_rows() -> None:
    """Best parameters, value and rounds are those of a fit on all rows, never of a sample."""
    tuned = study(n_trials=14)
    assert tuned.rows == (22, 90, 360)
    by_rows = {rows: [f for f in tuned.finals if f["rows"] == rows] for rows in tuned.rows}
    ranked = sorted(tuned.trials, key=lambda t: -t["value"] if t["state"] == "COMPLETE" else np.inf)
    ahead = {t["number"] for t in ranked[: promoted(1, 3)] if t["state"] == "COMPLETE"}
    assert {f["number"] for f in by_rows[90]} == ahead
    assert 0 in {f["number"] for f in by_rows[360]}
    assert 2 <= len(by_rows[360]) <= 1 + promoted(2, 3)
    assert len(tuned.scored) == len(by_rows[360])
    best = next(f for f in by_rows[360] if f["number"] == tuned.best_trial)
    assert best["value"] == tuned.best_value == max(f["value"] for f in by_rows[360])
    assert tuned.best_params["n_estimators"] == best["rounds"]
    assert tuned.default_value == next(f["value"] for f in by_rows[360] if f["number"] == 0)


@pytest.mark.usefixtures("three_rungs")
def test_coarse_fits_rank_and_exact_ones_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bins are coarse on samples alone, and scores of rounds are taken where a trial may be given up alone."""
    fits: list[tuple[int, int | None, bool]] = []
    algorithm = Binary.algorithms["LightGBM"]

    def fit(estimator: Any, of: Matrices, on_round: Any = None) -> int | None:
        fits.append((len(of.y_train), estimator.get_params().get("max_bin"), on_round is not None))
        return algorithm.fit(estimator, of, on_round)

    watched = dict(Binary.algorithms) | {"LightGBM": dataclasses.replace(algorithm, fit=fit)}
    monkeypatch.setattr(Binary, "algorithms", watched)
    tuned = study(n_trials=6)
    smallest, *_, largest = tuned.rows
    assert {made for made in fits if made[0] == smallest} == {(smallest, COARSE_BINS, True)}
    assert {made for made in fits if smallest < made[0] < largest} == {(tuned.rows[1], COARSE_BINS, False)}
    assert {made for made in fits if made[0] == largest} == {(largest, None, False)}
    assert "max_bin" not in tuned.chosen_params


@pytest.mark.usefixtures("three_rungs")
def test_a_budget_keeps_room_for_the_fits_on_all_rows() -> None:
    tuned = study(n_trials=200, budget_fits=4.0)
    assert tuned.n_trials < 200
    assert len(tuned.scored) >= 2
    assert tuned.fits < 5.5
    again = study(n_trials=200, budget_fits=4.0)
    assert dataclasses.replace(tuned, durations=()) == dataclasses.replace(again, durations=())
