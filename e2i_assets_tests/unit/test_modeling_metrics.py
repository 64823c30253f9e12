from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from e2i_assets.modeling.metrics.calibration import (
    calibration_bins,
    calibration_error,
    calibration_error_interval,
    calibration_intervals,
    calibration_line,
)
from e2i_assets.modeling.metrics.classification import (
    classification_intervals,
    classification_metrics,
    decision_curve,
    least_cost_threshold,
    youden_threshold,
)
from e2i_assets.modeling.metrics.delong import auc_interval, delong
from e2i_assets.modeling.problems.binary import Binary, Costs
from e2i_assets_tests.unit.modeling_frames import toy


def delong_by_hand(y: np.ndarray, p: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    """AUC of p and the covariance of both AUCs, pair by pair."""

    def kernel(s: np.ndarray) -> np.ndarray:
        gap = s[y == 1][:, None] - s[y == 0][None, :]
        return (gap > 0) + 0.5 * (gap == 0)

    one, other = kernel(p), kernel(q)
    m, n = one.shape
    by_positive = np.cov(one.mean(axis=1), other.mean(axis=1))[0, 1] / m
    by_negative = np.cov(one.mean(axis=0), other.mean(axis=0))[0, 1] / n
    return one.mean(), by_positive + by_negative


def test_delong_is_the_pairwise_definition_with_ties() -> None:
    rng = np.random.default_rng(3)
    y = (rng.random(80) < 0.4).astype(int)
    scores = np.round(rng.normal(size=(2, 80)) + y, 1)
    aucs, covariance = delong(y, scores)
    for i in range(2):
        for j in range(2):
            auc, expected = delong_by_hand(y, scores[i], scores[j])
            assert aucs[i] == pytest.approx(auc)
            assert covariance[i, j] == pytest.approx(expected)
    assert aucs[0] == pytest.approx(roc_auc_score(y, scores[0]))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    truth = roc_auc_score(*reversed(_draw(200_000, 0)))
    hits = 0
    for seed in range(1, 301):
        p, y = _draw(150, seed)
        interval = auc_interval(y, p)
        hits += interval.low <= truth <= interval.high
    assert 0.91 <= hits / 300 <= 0.98


def _draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 3, n)
    return p, (rng.random(n) < p).astype(int)


@pytest.mark.parametrize(("positives", "negatives"), [(2, 60), (3, 3), (60, 2), (900, 2000)])
def test_an_interval_allows_for_few_rows_where_the_variance_is_none(positives: int, negatives: int) -> None:
    y = np.repeat([1, 0], [positives, negatives])
    allowed = 1 / (2 * min(positives, negatives) + 2)
    perfect, constant, wrong = (auc_interval(y, p) for p in (y, np.zeros(len(y)), 1 - y))
    assert (perfect.auc, perfect.high, perfect.standard_error) == (1, 1, 0)
    assert perfect.low < 1 - allowed / 3
    assert (wrong.low, wrong.high) == pytest.approx((0, 1 - perfect.low))
    assert (constant.low + constant.high) / 2 == pytest.approx(0.5)
    assert constant.high - constant.low > allowed
    assert perfect.low >= 0


def test_the_bounds_are_those_from_which_the_area_is_as_far_as_the_variance_there_allows() -> None:
    interval = auc_interval(np.repeat([1, 0], [2, 60]), np.repeat([1, 0], [2, 60]))
    area, pairs = interval.low, 30
    variance = area * (1 - area) / 120 * (1 + pairs * (1 - area) / (2 - area) + pairs * area / (1 + area))
    assert (1 - area) ** 2 == pytest.approx(1.959963984540054**2 * variance)


def test_almost_perfect_and_one_pair_wrong() -> None:
    y = np.repeat([1, 0], [1000, 1000])
    p = y + np.linspace(0, 1e-3, 2000)
    p[0] = p[1000] - 1e-9
    interval = auc_interval(y, p)
    assert interval.low < interval.auc < 1 == interval.high


def test_one_row_of_a_class_says_nothing() -> None:
    y = np.array([0, 0, 0, 1])
    assert auc_interval(y, np.arange(4.0)) == (1, 0, 1, None)
    with pytest.raises(ValueError, match="two rows of each class"):
        delong(y, np.arange(4.0))
    for one_class, p in (([1, 1, 1, 1], np.arange(4.0)), ([0, 0, 1, 1], np.array([0, 1, np.nan, 3]))):
        with pytest.raises(ValueError, match="rows of each class"):
            auc_interval(np.array(one_class), p)


@pytest.mark.parametrize(("positives", "seed"), [(2, 1), (5, 2), (10, 3)])
def test_the_interval_covers_the_truth_with_few_events(positives: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.repeat([1, 0], [positives, 60])
    truth, hits = 0.9498, 0  # of normal scores that lie 2.325 apart
    for _ in range(200):
        interval = auc_interval(y, rng.normal(size=len(y)) + 2.325 * y)
        hits += interval.low <= truth <= interval.high
    assert hits >= 190


def test_metrics_against_their_definitions() -> None:
    y = np.array([0, 0, 1, 1, 1])
    metrics = classification_metrics(y, np.array([0.1, 0.6, 0.4, 0.7, 0.9]), threshold=0.3)
    assert metrics["accuracy"] == pytest.approx(3 / 5)
    assert metrics["precision"] == pytest.approx(2 / 3)
    assert metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["f1"] == pytest.approx(2 / 3)
    assert metrics["recall_at_threshold"] == 1
    assert metrics["precision_at_threshold"] == pytest.approx(3 / 4)
    assert metrics["brier"] == pytest.approx(np.mean([0.01, 0.36, 0.36, 0.09, 0.01]))
    assert metrics["roc_auc"] == pytest.approx(5 / 6)


def test_every_metric_lies_in_an_interval_that_covers_the_truth() -> None:
    """Of 150 rows; the truth is that of 200,000 drawn alike."""
    p, y = _draw(200_000, 0)
    truth = classification_metrics(y, p, threshold=0.4)
    hits = dict.fromkeys(truth, 0)
    for seed in range(1, 121):
        p, y = _draw(150, seed)
        metrics = classification_metrics(y, p, threshold=0.4)
        intervals = classification_intervals(y, p, threshold=0.4)
        assert set(intervals) == set(metrics)
        for name, ends in intervals.items():
            assert ends.low <= metrics[name] <= ends.high
            hits[name] += ends.low <= truth[name] <= ends.high
    assert {name: count >= 0.9 * 120 for name, count in hits.items()} == dict.fromkeys(hits, True), hits


def test_a_perfect_model_of_few_rows_is_not_certain() -> None:
    y = np.repeat([0, 1], 6)
    intervals = classification_intervals(y, np.where(y == 1, 0.9, 0.1), threshold=0.5)
    assert all(
        intervals[name].low < 0.85 and intervals[name].high == 1
        for name in ("roc_auc", "pr_auc", "f1", "accuracy")
    )
    assert intervals["calibration_slope"] is None
    nobody = classification_intervals(y, np.full(12, 0.3), threshold=0.5)
    assert (nobody["precision"], nobody["f1"]) == (None, None)


def test_no_calibration_bin_is_of_one_patient_where_predictions_are_alike() -> None:
    """As one of scikit-learn's `calibration_curve` would be, which is why it is not used."""
    p = np.array([0.2] * 99 + [0.9])
    y = np.array([0] * 80 + [1] * 20)
    _, predicted = calibration_curve(y, p, n_bins=5, strategy="quantile")
    assert 0.9 in predicted
    assert [b.n for b in calibration_bins(y, p)] == [20] * 5


def test_what_has_no_value_is_none_and_not_zero() -> None:
    y = np.array([0, 0, 0, 1, 1])
    metrics = classification_metrics(y, np.full(5, 0.3), threshold=0.5)
    assert metrics["precision"] is None
    assert metrics["f1"] is None
    assert metrics["calibration_slope"] is None
    assert calibration_line(y, np.array([0.1, 0.2, 0.2, 0.8, 0.9]))[0] is None


def test_calibration_finds_what_was_done_to_the_log_odds() -> None:
    data = toy(40_000, seed=5)
    odds = np.log(data.p / (1 - data.p))
    assert calibration_line(data.y, data.p) == pytest.approx((1, 0), abs=0.05)
    assert calibration_line(data.y, 1 / (1 + np.exp(-2 * odds)))[0] == pytest.approx(0.5, abs=0.03)
    assert calibration_line(data.y, 1 / (1 + np.exp(-(odds + 0.7))))[1] == pytest.approx(-0.7, abs=0.05)


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-8])
def test_predictions_that_hardly_differ_have_the_same_line(spread: float) -> None:
    """In a unit that is so much smaller, slope and interval are so much larger."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=600)
    y = (rng.random(600) < 1 / (1 + np.exp(1 - z))).astype(int)

    def line(unit: float) -> list[float]:
        p = 1 / (1 + np.exp(1 - unit * z))
        slope, ends = calibration_line(y, p)[0], calibration_intervals(y, p)[0]
        assert slope is not None
        assert ends is not None
        return [slope * unit, ends.low * unit, ends.high * unit]

    assert line(spread) == pytest.approx(line(1), rel=1e-3)


def test_the_youden_threshold_is_the_best_cut() -> None:
    y = np.array([0, 0, 0, 1, 0, 1, 1])
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert youden_threshold(y, p) in (0.4, 0.6)
    worst = np.array([1, 1, 0, 0])
    assert np.isfinite(youden_threshold(worst, np.array([0.1, 0.2, 0.8, 0.9])))


def test_bins_hold_every_row_once() -> None:
    p, y = _draw(130, 4)
    bins = calibration_bins(y, p)
    assert [b.n for b in bins] == [22, 22, 22, 22, 21, 21]
    assert sum(b.n * b.observed for b in bins) == pytest.approx(y.sum())
    assert [b.predicted for b in bins] == sorted(b.predicted for b in bins)


@pytest.mark.parametrize(("false_positive", "false_negative"), [(1, 1), (1, 9), (9, 1), (1, 500)])
def test_costs_choose_the_threshold(false_positive: float, false_negative: float) -> None:
    p, y = _draw(2000, 8)
    result = Binary(costs=Costs(false_positive=false_positive, false_negative=false_negative)).threshold(y, p)

    def cost(threshold: float) -> float:
        return (
            np.sum((p >= threshold) & (y == 0)) * false_positive
            + np.sum((p < threshold) & (y == 1)) * false_negative
        )

    assert cost(result) == min(cost(threshold) for threshold in [*p, 1.0])
    # Of calibrated probabilities the best threshold is known.
    assert result == pytest.approx(false_positive / (false_positive + false_negative), abs=0.12)
    assert least_cost_threshold(np.array([0, 1]), np.array([0.9, 0.1]), 9, 1) == 1


def test_a_probability_of_one_is_decided_by_the_least_of_the_costs_there_are() -> None:
    """Nobody would cost 4, and is none of them; 1.0 costs 100 and 3 more, 0.9 no more than 100."""
    y, p = np.array([0, 1, 1, 1, 1, 0]), np.array([1.0, 1.0, 0.9, 0.9, 0.9, 0.1])
    assert least_cost_threshold(y, p, 100, 1) == 0.9


def test_calibration_of_the_alike_does_not_depend_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(1)
    p = rng.choice([0.2, 0.5, 0.7], 400)
    y = (rng.random(400) < p).astype(int)
    rows = np.argsort(y, kind="stable")
    assert calibration_error(y[rows], p[rows]) == pytest.approx(calibration_error(y, p))
    assert calibration_error_interval(y[rows], p[rows]) == pytest.approx(calibration_error_interval(y, p))
    assert [b.observed for b in calibration_bins(y[rows], p[rows])] == pytest.approx(
        [b.observed for b in calibration_bins(y, p)]
    )
    assert calibration_error(np.repeat([0, 1], 50), np.full(100, 0.5)) == pytest.approx(0)


def test_net_benefit_is_its_definition() -> None:
    p, y = _draw(500, 5)
    curve = {point["threshold"]: point for point in decision_curve(y, p)}
    assert len(curve) == 99
    for at in (0.1, 0.37, 0.8):
        hits, alarms = np.sum((p >= at) & (y == 1)), np.sum((p >= at) & (y == 0))
        assert curve[at]["model"] == pytest.approx((hits - alarms * at / (1 - at)) / 500)
        assert curve[at]["all"] == pytest.approx((y.sum() - (1 - y).sum() * at / (1 - at)) / 500)
    assert curve[0.3]["model"] > max(0, curve[0.3]["all"])


def test_what_is_not_there_has_a_reason() -> None:
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    metrics, reasons = Binary().metrics(y, p, 0.5), Binary().reasons(y, p, 0.5)
    missing = {name for name, value in metrics.items() if value is None}
    assert missing == set(reasons)
    assert "nobody is decided positive" in reasons["precision"]


def test_the_calibration_error_is_the_distance_by_bins() -> None:
    y, p = np.repeat([0, 1, 0, 1], [15, 5, 4, 16]), np.repeat([0.1, 0.9], 20)
    assert calibration_error(y, p) == pytest.approx((0.15 + 0.1) / 2)
    low, high = calibration_error_interval(y, p)
    assert low == 0
    assert 0.2 < high < 0.35
