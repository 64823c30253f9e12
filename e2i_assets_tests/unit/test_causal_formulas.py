"""The formulas of an effect, against published figures and against what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from e2i_assets.causal.data import CausalData
from e2i_assets.causal.estimands import POPULATIONS, Scores, arm_scores, difference, over_repeats
from e2i_assets.causal.nuisance import NuisanceFit, Nuisances, bounded, fold_numbers, recalibrated
from e2i_assets.causal.overlap import balance_of, overlap_of, population_weights, why_not
from e2i_assets.causal.regressions import stack_weights
from e2i_assets.causal.report import Effect
from e2i_assets.causal.sensitivity import e_value, e_value_of_limit, robustness_value, sensitivity_of


@pytest.mark.parametrize(
    ("ratio", "published"),
    [(3.9, 7.26), (0.80, 1.81), (1.0, 1.0)],  # VanderWeele and Ding 2017, their examples
)
def test_e_values_as_published(ratio: float, published: float) -> None:
    assert e_value(ratio) == pytest.approx(published, abs=0.005)


def test_the_e_value_of_an_interval_is_that_of_its_nearer_limit() -> None:
    assert e_value_of_limit(1.8, 8.7) == pytest.approx(3.0, abs=0.005)
    assert e_value_of_limit(0.71, 0.91) == pytest.approx(1.43, abs=0.005)
    assert e_value_of_limit(0.9, 1.2) == 1.0


def test_robustness_values_as_published() -> None:
    """Cinelli and Hazlett 2020, table 1: harm in Darfur, 0.097 with t 4.18 and 783 degrees of freedom."""
    assert robustness_value(4.184, 783) == pytest.approx(0.139, abs=0.0005)
    assert robustness_value(4.184, 783, alpha=0.05) == pytest.approx(0.076, abs=0.0005)
    assert robustness_value(1.0, 783, alpha=0.05) == 0.0
    effect = Effect(0.097, 0.052, 0.143, 3e-5, 0.097 / 4.184)
    assert sensitivity_of(effect, None, 0.5, 783).partial_r2 == pytest.approx(0.022, abs=0.0005)


def world(rows: int = 4000) -> tuple[CausalData, Nuisances, np.ndarray]:
    """True nuisances of an effect that grows with the propensity."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=rows)
    e = 1 / (1 + np.exp(-x))
    t = (rng.random(rows) < e).astype(float)
    effect = 1 + x
    y = x + effect * t + rng.normal(size=rows)
    data = CausalData(
        x=x[:, None], columns=("x",), y=y, t=t, treatment_kind="binary", outcome_kind="continuous",
        arm="1", control="0", left_out=(), index=pd.RangeIndex(rows),
    )  # fmt: skip
    each = {"propensity": e, "unbounded": e, "outcome": x + e * effect, "control": x, "treated": x + effect}
    sure = np.ones((1, rows))
    nuisances = Nuisances(
        t=t, folds=np.zeros((1, rows), int), known_control=sure, known_treated=sure, fits=(),
        **{name: values[None] for name, values in each.items()},
    )  # fmt: skip
    return data, nuisances, effect


@pytest.mark.parametrize("estimand", POPULATIONS)
def test_each_estimand_is_the_effect_of_its_own_rows(estimand: str) -> None:
    data, nuisances, effect = world()
    h = POPULATIONS[estimand](nuisances.propensity[0])[0]  # type: ignore[index]
    scores = difference(data, nuisances, 0, estimand)  # type: ignore[arg-type]
    assert abs(scores.estimate - np.average(effect, weights=h)) < 3 * scores.standard_error
    assert 0.01 < scores.standard_error < 0.08


def test_they_are_the_usual_scores() -> None:
    data, nuisances, _ = world()
    e, t, y = nuisances.propensity[0], data.t, data.y
    m0, m1 = nuisances.control[0], nuisances.treated[0]
    average = m1 - m0 + t * (y - m1) / e - (1 - t) * (y - m0) / (1 - e)
    treated = (t * (y - m0) - (1 - t) * e / (1 - e) * (y - m0)).sum() / t.sum()
    ate = difference(data, nuisances, 0, "ate")
    assert ate.estimate == pytest.approx(average.mean())
    assert ate.influence == pytest.approx(average - average.mean())
    assert ate.standard_error == pytest.approx(average.std(ddof=1) / np.sqrt(len(y)), rel=0.05)
    assert difference(data, nuisances, 0, "att").estimate == pytest.approx(treated)
    control, arm = arm_scores(data, nuisances, 0, "ate")
    assert arm.estimate - control.estimate == pytest.approx(ate.estimate)


def test_a_few_heavy_rows_do_not_make_an_estimate_look_certain() -> None:
    """Treated rows that nobody expected are what an interval rests on; here by luck their residuals are none."""
    data, nuisances, _ = world(400)
    heavy = (data.t == 1) & (nuisances.propensity[0] < 0.2)
    assert heavy.sum() > 5
    lucky = replace(data, y=np.where(heavy, nuisances.treated[0], data.y))
    scores = difference(lucky, nuisances, 0, "ate")
    assert scores.expected > 1.1 * Scores(0.0, scores.influence).standard_error
    assert scores.standard_error == scores.expected


def test_outcomes_that_are_not_known_are_made_up_for() -> None:
    data, nuisances, effect = world(20_000)
    rng = np.random.default_rng(4)
    known = 1 / (1 + np.exp(-1 - 1.5 * data.x[:, 0] * data.t))
    y = np.where(rng.random(len(data.y)) < known, data.y, np.nan)
    hidden = replace(data, y=y)
    answer = replace(
        nuisances,
        known_treated=1 / (1 + np.exp(-1 - 1.5 * data.x.T)),
        known_control=np.full((1, len(y)), 1 / (1 + np.exp(-1))),
        treated=nuisances.treated + 0.3,
    )
    scores = difference(hidden, answer, 0, "ate")
    assert abs(scores.estimate - effect.mean()) < 3 * scores.standard_error


@pytest.mark.parametrize("estimand", ["ate", "att"])
def test_rows_of_one_cluster_count_once(estimand: str) -> None:
    """Each row ten times over says what it says alone; without clusters it would be surer by the root of ten."""
    data, nuisances, _ = world(200)
    copied = np.repeat(np.arange(200), 10)
    arrays = {
        name: getattr(nuisances, name)[..., copied]
        for name in ("t", "folds", "propensity", "control", "treated", "known_control", "known_treated")
    }
    more = replace(nuisances, **arrays)
    alone = difference(data, nuisances, 0, estimand)  # type: ignore[arg-type]
    together = difference(replace(data.of(copied), clusters=copied), more, 0, estimand)  # type: ignore[arg-type]
    assert together.estimate == pytest.approx(alone.estimate)
    assert together.influence == pytest.approx(alone.influence)
    assert difference(data.of(copied), more, 0, estimand).standard_error < 0.4 * alone.standard_error  # type: ignore[arg-type]


def test_rows_of_one_cluster_are_in_one_fold() -> None:
    data, _, _ = world(400)
    clusters = np.random.default_rng(8).permutation(np.repeat(np.arange(80), 5))
    t = (clusters % 2).astype(float)
    number = fold_numbers(replace(data, t=t, clusters=clusters), 5, 0)
    assert len(set(zip(clusters, number, strict=True))) == 80
    assert {t[number == fold].mean() for fold in range(5)} == {0.5}


def test_outcomes_that_are_never_known_of_a_kind_of_rows_leave_no_overlap() -> None:
    data, nuisances, _ = world()
    fit = NuisanceFit("treatment", "auc", 0.7, {}, {})
    for least, refused in ((-2.0, False), (0.0, True)):
        known = data.x[:, 0] > least
        probability = np.clip(known.astype(float), 0.05, 1)[None]
        judged = replace(nuisances, known_control=probability, known_treated=probability, fits=(fit,))
        answer = why_not(overlap_of(replace(data, y=np.where(known, data.y, np.nan)), judged, "ate"))
        assert (answer is not None) == refused
        assert answer is None or "as good as never known" in answer[1]


def test_the_median_of_repeats_is_as_uncertain_as_they_differ() -> None:
    rows = np.array([1.0, -1.0] * 50)
    alike = [Scores(1.0, rows)] * 3
    apart = [Scores(value, rows) for value in (0.0, 1.0, 2.0)]
    assert over_repeats(alike) == pytest.approx((1.0, alike[0].standard_error))
    assert over_repeats(apart)[1] == pytest.approx(np.sqrt(alike[0].standard_error ** 2 + 1))


def test_weights_make_the_arms_alike() -> None:
    data, nuisances, _ = world()
    (balance,) = balance_of(data, nuisances, "ate")
    assert balance.before > 0.7
    assert abs(balance.after) < 0.1
    weights = population_weights(nuisances, "ate")
    assert weights[data.t == 1].sum() == pytest.approx(len(data.t), rel=0.1)


@pytest.mark.parametrize(
    ("steepness", "estimand", "refused"),
    [(1.0, "ate", False), (2.0, "ate", False), (6.0, "ate", True), (6.0, "ato", False)],
)
def test_only_where_an_arm_is_absent_is_there_no_overlap(
    steepness: float, estimand: str, refused: bool
) -> None:
    data, nuisances, _ = world()
    e = 1 / (1 + np.exp(-steepness * data.x.T))
    t = (np.random.default_rng(5).random(len(data.t)) < e[0]).astype(float)
    fit = NuisanceFit("treatment", "auc", 0.9, {}, {})
    steep = replace(nuisances, t=t, propensity=bounded(e, t), unbounded=e, fits=(fit,))
    answer = why_not(overlap_of(replace(data, t=t), steep, estimand))  # type: ignore[arg-type]
    assert answer is None or answer[0] == "no_overlap"
    assert (answer is not None) == refused


def test_stacking_finds_the_model_that_predicts() -> None:
    rng = np.random.default_rng(6)
    y = rng.normal(size=500)
    good, bad = y + rng.normal(0, 0.1, 500), rng.normal(size=500)
    weights = stack_weights(np.column_stack([good, bad]), y, "continuous")
    assert weights[0] > 0.95
    assert weights.sum() == pytest.approx(1)
    p = rng.random(2000)
    yes = (rng.random(2000) < p).astype(float)
    weights = stack_weights(np.column_stack([p, np.full(2000, yes.mean())]), yes, "binary")
    assert weights[0] > 0.9


def test_overconfident_propensities_are_recalibrated() -> None:
    rng = np.random.default_rng(7)
    log_odds = rng.normal(size=5000)
    t = (rng.random(5000) < 1 / (1 + np.exp(-log_odds))).astype(float)
    overconfident = 1 / (1 + np.exp(-3 * log_odds))
    assert np.abs(recalibrated(overconfident, t) - 1 / (1 + np.exp(-log_odds))).max() < 0.04
