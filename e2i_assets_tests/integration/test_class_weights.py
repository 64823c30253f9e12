"""Class weights: taken where they rank better beyond noise, and never served as if they were probabilities."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from e2i_assets.modeling.metrics.calibration import calibration_line
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.training.class_weights import weighted_where_better
from e2i_assets.modeling.training.fitting import Matrices
from e2i_assets.modeling.training.recalibration import calibrated


def rare(rows: int, seed: int, share: float = 0.06) -> tuple[np.ndarray, np.ndarray]:
    """Two kinds of the rare outcome, of which a line fitted to all rows alike sees little."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3))
    odds = 1.2 * X[:, 0] + 0.5 * X[:, 1] + np.log(share)
    return X, (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int8)


def data(rows: int = 3000, share: float = 0.06) -> Matrices:
    return Matrices(*rare(rows, 1, share), *rare(rows, 2, share))


@pytest.mark.parametrize("name", ["XGBoost", "LightGBM", "RandomForest", "LogisticRegression"])
def test_weights_that_help_are_taken_and_the_model_is_calibrated(name: str) -> None:
    """Against a model that ranks badly, whatever is fitted well is better."""
    algorithm, matrices = Binary.algorithms[name], data()
    poor = algorithm.build(algorithm.defaults, 42)
    poor.fit(matrices.X_train, np.random.default_rng(0).permutation(matrices.y_train))
    result = weighted_where_better(
        poor, algorithm, algorithm.defaults, Binary(), matrices, rounds=None, seed=42
    )
    assert (
        result.get_params().get("class_weight") == "balanced" or result.get_params()["scale_pos_weight"] > 5
    )
    served, choice = calibrated(result, matrices.X_validation, matrices.y_validation, seed=42, needed=True)
    assert choice.method != "none"
    X, y = rare(20_000, 3)
    raw, answer = result.predict_proba(X)[:, 1], served.predict_proba(X)[:, 1]
    assert raw.mean() > 2 * y.mean()
    assert answer.mean() == pytest.approx(y.mean(), rel=0.15)
    assert abs(calibration_line(y, answer)[1]) < 0.2


@pytest.mark.parametrize(
    ("matrices", "why"),
    [
        (data(share=0.9), "no class is rare"),
        (data(rows=300), "too few to calibrate on"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_weights_are_not_tried(matrices: Matrices, why: str) -> None:
    def fails(*_: object) -> None:
        raise AssertionError(why)

    algorithm = dataclasses.replace(Binary.algorithms["LogisticRegression"], build=fails)
    assert weighted_where_better(None, algorithm, {}, Binary(), matrices, rounds=None, seed=42) is None


def test_weights_that_do_not_help_are_left() -> None:
    algorithm, matrices = Binary.algorithms["LogisticRegression"], data()
    good = algorithm.build(algorithm.defaults, 42)
    algorithm.fit(good, matrices)
    asked = (good, algorithm, algorithm.defaults, Binary(), matrices)
    assert weighted_where_better(*asked, rounds=None, seed=42) is None
