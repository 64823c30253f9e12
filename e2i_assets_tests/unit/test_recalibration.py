"""Calibration: chosen where it helps beyond noise, of scikit-learn's classes alone, and a probability served."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from e2i_assets.modeling.metrics.calibration import calibration_error, calibration_line
from e2i_assets.modeling.training import recalibration
from e2i_assets.modeling.training.identity import fingerprint
from e2i_assets.modeling.training.recalibration import FEWEST, calibrated, uncalibrated


class Telling(ClassifierMixin, BaseEstimator):
    """A fitted classifier that answers what it is asked with: column 0, or all columns."""

    classes_ = np.array([0, 1])

    def fit(self, X: np.ndarray, y: np.ndarray) -> Telling:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - X[:, 0], X[:, 0]])

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.predict_proba(X).argmax(axis=1)


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True probabilities and outcomes."""
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 3, rows)
    return p, (rng.random(rows) < p).astype(int)


def timid(p: np.ndarray) -> np.ndarray:
    """Log odds told as if they were probabilities, and too high."""
    return np.clip((np.log(p / (1 - p)) + 9) / 12, 0, 1)


def stepped(p: np.ndarray) -> np.ndarray:
    """In the right order, and of no simple shape."""
    return np.where(p < 0.3, p / 10, np.where(p < 0.5, 0.05 + p / 5, 0.8 + p / 6))


@pytest.mark.parametrize(
    ("distort", "rows", "method"), [(timid, 800, "sigmoid"), (stepped, 4000, "isotonic")]
)
def test_what_is_off_is_mended(distort, rows: int, method: str) -> None:
    p, y = drawn(rows, 1)
    served, choice = calibrated(Telling(), distort(p)[:, None], y, seed=42)
    assert choice.method == method
    assert choice.brier[method] < choice.brier["none"] - choice.noise[method]
    truth, outcome = drawn(20_000, 2)
    asked = distort(truth)
    answer = served.predict_proba(asked[:, None])[:, 1]
    assert calibration_error(outcome, answer) < 0.03 < calibration_error(outcome, asked) / 2
    assert np.corrcoef(answer, truth)[0, 1] > 0.95
    assert calibration_line(outcome, np.clip(answer, 0.001, 0.999))[0] == pytest.approx(1, abs=0.15)


def test_what_is_right_is_mostly_left_alone() -> None:
    """One standard error: the better of two ways is chosen by chance now and then."""
    methods = []
    for seed in range(12):
        p, y = drawn(500, seed)
        served, choice = calibrated(Telling(), p[:, None], y, seed=42)
        methods.append(choice.method)
        if choice.method == "none":
            assert isinstance(served, Telling)
    assert methods.count("none") >= 9


def test_few_rows_are_not_calibrated_on() -> None:
    p, y = drawn(2000, 1)
    few = np.concatenate([np.flatnonzero(y == 1)[: FEWEST["sigmoid"] - 1], np.flatnonzero(y == 0)])
    served, choice = calibrated(Telling(), timid(p[few])[:, None], y[few], seed=42)
    assert isinstance(served, Telling)
    assert set(choice.brier) == {"none"}


def test_a_patients_rows_are_in_one_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """And patients are counted, not their rows."""
    p, y = drawn(400, 1)
    p, y, patients = (np.repeat(values, 3) for values in (p, y, np.arange(400)))
    whole, folds = recalibration._of_scores, []

    def watched(scores: np.ndarray, of: np.ndarray, new: np.ndarray, *rest: object) -> np.ndarray:
        folds.append(set(scores) & set(new))
        return whole(scores, of, new, *rest)

    monkeypatch.setattr(recalibration, "_of_scores", watched)
    calibrated(Telling(), p[:, None], y, seed=42, patients=patients)
    assert folds
    assert not any(folds)
    few = np.isin(patients, np.flatnonzero(np.cumsum(y[::3]) < FEWEST["sigmoid"]))
    choice = calibrated(Telling(), p[few][:, None], y[few], seed=42, patients=patients[few])[1]
    assert set(choice.brier) == {"none"}


@pytest.mark.parametrize("classes", [2, 3])
def test_the_calibrated_model_is_of_libraries_classes_and_always_the_same(classes: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 4))
    logits = X[:, :classes] * 1.5
    y = np.array([rng.choice(classes, p=np.exp(row) / np.exp(row).sum()) for row in logits])
    overfit = LogisticRegression(C=np.inf, max_iter=2000).fit(X[:300] * 5, y[:300])
    overfit.coef_ *= 6

    def made() -> object:
        return calibrated(overfit, X * 5, y, seed=42)[0]

    served = made()
    assert type(served).__module__ == "sklearn.calibration"
    assert uncalibrated(served) is overfit
    assert b"e2i_assets" not in pickle.dumps(served)
    assert fingerprint(pickle.loads(pickle.dumps(served))) == fingerprint(made()) != fingerprint(overfit)
    p = served.predict_proba(X * 5)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    wrong = overfit.predict_proba(X * 5)
    actual = np.eye(classes)[y]
    assert np.square(p - actual).sum() < np.square(wrong - actual).sum()
    assert list(served.classes_) == list(range(classes))
