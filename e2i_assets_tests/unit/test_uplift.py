"""Models of effects: figures from doubly robust scores, the contest with the constant effect, and its gates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from e2i_assets.causal.cate import CONSTANT, CateChoice, Contest, _contests, _of_units, calibrate
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.refutation import ATTEMPTS, Refutation, RefutationReport, _verdict
from e2i_assets.causal.report import Balance, Effect, EffectReport, Overlap
from e2i_assets.causal.scores import (
    Expected,
    arm_scores,
    by_segment,
    calibration,
    effect_scores,
    mean_of,
    policy_value,
    ranking,
)
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.gates.effect_estimate import BALANCE, OVERLAP, REFUTATION, EffectJudged
from e2i_assets.gates.uplift import BEATS_CONSTANT_EFFECT, CONSTANT_SERVED, Chosen
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.scopes.contradictions import contradictions
from e2i_assets.modeling.scopes.scope import FeatureChoice
from e2i_assets.modeling.uplift.rows import causal_rows
from e2i_assets_tests.unit.fail_closed.effects import EVIDENCE, FEATURES, NOTHING, SCOPE, table

ROWS = 4000


def trial(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, Expected]:
    """True effects from 0 to 1 of rows treated by lot, with treatment, outcome and what is expected."""
    rng = np.random.default_rng(seed)
    true = rng.random(ROWS)
    t = (rng.random(ROWS) < 0.5).astype(float)
    y = 2 + true * t + rng.normal(0, 0.5, ROWS)
    return true, t, y, Expected(np.full(ROWS, 2.0), 2 + true, np.full(ROWS, 0.5))


def test_scores_are_right_on_average_where_one_of_both_nuisances_is() -> None:
    true, t, y, expected = trial()
    wrong_outcome = replace(expected, control=np.full(ROWS, 5.0), treated=np.full(ROWS, -3.0))
    wrong_propensity = replace(expected, propensity=np.full(ROWS, 0.2))
    for nuisance in (expected, wrong_outcome, wrong_propensity):
        result = mean_of(effect_scores(y, t, nuisance))
        assert result.low < true.mean() < result.high
    control, treated = arm_scores(y, t, expected)
    assert control.mean() == pytest.approx(2, abs=0.05)
    assert treated.mean() == pytest.approx(2.5, abs=0.05)


def test_patients_of_one_cluster_count_once() -> None:
    """Each row four times over says what it says alone."""
    _, t, y, expected = trial()
    rows = np.arange(ROWS // 20)
    copied = np.repeat(rows, 4)
    scores, left_t = effect_scores(y, t, expected), t - 0.5
    once, four, surer = mean_of(scores[rows]), mean_of(scores[copied], copied), mean_of(scores[copied])
    assert four == pytest.approx(once)
    assert surer.high - surer.low < 0.6 * (once.high - once.low)
    effects = scores + np.random.default_rng(2).normal(size=ROWS)
    plain, of_clusters, of_rows = (
        ranking(effects[r], scores[r], c, seed=0).auuc
        for r, c in ((rows, None), (copied, copied), (copied, None))
    )
    assert of_clusters.value == pytest.approx(plain.value, rel=0.02)
    assert of_clusters.high - of_clusters.low == pytest.approx(plain.high - plain.low, rel=0.15)
    assert of_rows.high - of_rows.low < 0.7 * (plain.high - plain.low)
    lines = [
        calibrate(effects[r], left_t[r], (y - 2)[r], c).covariance
        for r, c in ((rows, None), (copied, copied), (copied, None))
    ]
    assert lines[1] == pytest.approx(lines[0], rel=0.02)
    assert lines[2][0] < 0.3 * lines[0][0]


def test_a_scope_asks_for_clusters_of_the_cohort() -> None:
    frame = table().assign(patient_journey_id=lambda f: "J" + f.index.astype(str))
    hcps = [None if i < 2 else f"H{i % 20}" for i in range(60)]
    members = pl.DataFrame({"patient_journey_id": frame.patient_journey_id.tolist(), "hcp_id": hcps})
    scope = SCOPE.model_copy(update={"clusters": "hcp_id"})
    rows = causal_rows([frame], FEATURES, scope).clustered(members)
    assert rows.clusters.tolist()[1:4] == ["alone J1", "H2", "H3"]  # type: ignore[union-attr]
    report = rows.effect(seed=0)
    assert report.clusters == "hcp_id"
    assert "Intervals are of clusters by hcp_id" in report.notes[0]
    assert len(set(rows.clusters)) == 22  # type: ignore[arg-type]
    assert causal_rows([frame], FEATURES, SCOPE).clustered(members).clusters is None
    with pytest.raises(TrainingDataError, match="clusters hcp_id: no column of the cohort's journeys"):
        causal_rows([frame], FEATURES, scope).clustered(members.drop("hcp_id"))


def test_a_learner_is_not_better_for_gains_that_patients_of_one_cluster_share() -> None:
    gain = np.repeat(np.random.default_rng(3).normal(0.3, 1.0, 12), 60)
    alone, together = (
        next(_contests({"one": _of_units(gain, clusters)}, 1.0))
        for clusters in (None, np.repeat(np.arange(12), 60))
    )
    assert together.gain == pytest.approx(alone.gain)
    assert together.noise == pytest.approx(alone.noise * np.sqrt(60), rel=0.05)


def test_qini_is_that_of_the_order() -> None:
    true, t, y, expected = trial()
    scores = effect_scores(y, t, expected)
    right, wrong = ranking(true, scores, seed=0), ranking(-true, scores, seed=0)
    # Effects are uniform: the best order gains q - q²/2 of q, against q/2 by lot; in the mean a twelfth more.
    assert right.qini.value == pytest.approx(1 / 12, abs=0.01)
    assert right.qini.low < 1 / 12 < right.qini.high
    assert wrong.qini.high < 0
    assert right.auuc.value == pytest.approx(right.qini.value + scores.mean() / 2)
    assert right.gains[0].value == 0
    assert right.gains[-1].value == pytest.approx(scores.mean())
    level = ranking(np.zeros(ROWS), scores, seed=0).qini
    assert (level.value, level.low, level.high) == pytest.approx((0, 0, 0), abs=1e-9)


def test_a_policy_is_worth_what_it_brings_to_whom_it_treats() -> None:
    true, t, y, expected = trial()
    best = policy_value(true, y, t, expected, 0.3)
    assert best.gain.low < 0.3 * 0.85 < best.gain.high
    assert best.on_treated.value == pytest.approx(0.85, abs=0.05)
    assert best.over_chance.value == pytest.approx(0.3 * 0.35, abs=0.03)
    assert best.outcome.value == pytest.approx(2 + best.gain.value, abs=0.05)
    # One is treated beside the first, of three that tie: each of them counts as a third.
    nothing = Expected(np.zeros(4), np.zeros(4), np.full(4, 0.5))
    few = policy_value(np.array([2, 1, 1, 1]), np.array([2, 1, 0, 0]), np.ones(4), nothing, 0.5)
    assert few.on_treated.value == pytest.approx((4 + 2 / 3) / 2)
    assert few.gain.value == pytest.approx(0.5 * few.on_treated.value)
    level = policy_value(np.zeros(ROWS), y, t, expected, 0.3)
    assert level.over_chance.value == pytest.approx(0, abs=1e-9)


def test_groups_by_prediction_and_segments_tell_measured_effects() -> None:
    true, t, y, expected = trial()
    scores = effect_scores(y, t, expected)
    groups = calibration(true, scores)
    assert [group.rows for group in groups] == [ROWS // 5] * 5
    assert all(
        group.effect is not None and group.predicted is not None
        and group.effect.low - 0.05 < group.predicted < group.effect.high + 0.05
        for group in groups
    )  # fmt: skip
    assert calibration(np.ones(ROWS), scores) == ()
    assert calibration(true[:30], scores[:30]) == ()
    few, many = by_segment("half", ["a"] * 5 + ["b"] * (ROWS - 5), scores)
    assert (few.level, few.effect, many.rows) == ("a", None, ROWS - 5)
    alone = np.where(np.arange(ROWS) < 40, 0, t)
    one_arm, both = by_segment("half", ["a"] * 40 + ["b"] * (ROWS - 40), scores, t=alone, least_of_arm=5)
    assert one_arm.effect is None
    assert both.effect is not None


def test_predictions_that_say_too_much_are_drawn_in() -> None:
    true, t, y, _ = trial()
    left_y, left_t = y - 2 - 0.5 * true, t - 0.5
    line = calibrate(3 * true, left_t, left_y)
    assert line.slope == pytest.approx(1 / 3, abs=0.05)
    effects, noise = line.effects(3 * true)
    assert np.abs(effects - true).max() < 0.15
    assert 0 < noise.min() < 0.05
    level = calibrate(np.ones(ROWS), left_t, left_y)
    assert (level.slope, level.level) == (0, pytest.approx(0.5, abs=0.05))


def contest(gain: float, noise: float = 0.1) -> CateChoice:
    of = Contest("XLearner", 1 - gain, gain, noise)
    return CateChoice(1.0, (of,), {}, 2.0, None, 400, 5)


@pytest.mark.parametrize(
    ("chosen", "passed", "reason"),
    [
        (Chosen(False, contest(0.3)), True, "ok"),
        (Chosen(False, contest(0.19)), False, "not_better_than_constant"),
        (Chosen(False, contest(-0.3)), False, "not_better_than_constant"),
        (Chosen(False, contest(float("nan"))), False, "not_better_than_constant"),
        (Chosen(False, contest(0.3, noise=0.0)), False, "not_better_than_constant"),
        (Chosen(True, contest(0.19)), True, CONSTANT_SERVED),
        (Chosen(True, replace(contest(0.3), contests=())), True, CONSTANT_SERVED),
        (Chosen(False, replace(contest(0.3), contests=())), False, "not_better_than_constant"),
    ],
)
def test_effects_that_do_not_beat_the_constant_one_are_not_published(
    chosen: Chosen, passed: bool, reason: str
) -> None:
    verdict = BEATS_CONSTANT_EFFECT.verdict(chosen)
    assert (verdict.passed, verdict.reason) == (passed, reason), verdict.message


def test_what_is_chosen_is_what_the_gate_lets_pass() -> None:
    assert contest(0.3).chosen == "XLearner"
    assert contest(0.19).chosen == CONSTANT
    assert replace(contest(0.3), contests=()).chosen == CONSTANT


def report(**changes: object) -> EffectReport:
    overlap = Overlap((0.2,) * 7, (0.2,) * 7, (10,) * 20, (10,) * 20, 0.02, 0.0, 100.0, 100.0, 0.7)
    result = replace(
        NOTHING, status="effect", rows=400, treated=200, overlap=overlap, covariates=("age", "severity"),
        effect=Effect(0.2, 0.1, 0.3, 0.01, 0.05),
        balance=(Balance("severity", 0.8, 0.05), Balance("age", 0.1, -0.02)),
    )  # fmt: skip
    return replace(result, **changes)  # type: ignore[arg-type]


def judged(**changes: object) -> EffectJudged:
    return EffectJudged(EVIDENCE, report(**changes), None, 0.1)


@pytest.mark.parametrize("reason", ["no_overlap", "treatment_decided", "too_few"])
def test_an_effect_that_is_not_identified_is_refused_with_what_could_be_asked(reason: str) -> None:
    refused = judged(
        status="not_identified", reason=reason, explanation="Why.", effect=None, offers=("ate", "ato")
    )
    verdict = OVERLAP.verdict(refused)
    assert (verdict.passed, verdict.reason) == (False, reason)
    assert "ato" in verdict.next_step
    assert "ate" not in verdict.next_step.replace("estimand", "")
    assert (BALANCE.verdict(refused).passed, BALANCE.verdict(refused).reason) == (False, "not_judged")


def test_few_patients_of_an_arm_are_not_counted_out_loud() -> None:
    refused = judged(status="not_identified", reason="too_few", explanation="Why.", effect=None, treated=3)
    assert OVERLAP.verdict(refused).figures == {"rows": 400, "treated": 3}
    hidden = replace(refused, cells=Cells(5))
    assert OVERLAP.verdict(hidden).figures == {"rows": 400, "treated": "<5"}
    assert "of 403 patients" in OVERLAP.verdict(judged(rows=403)).message
    assert "of 405 patients" in OVERLAP.verdict(replace(judged(rows=403), cells=Cells(5))).message


def test_arms_that_differ_by_more_than_chance_once_weighted_are_refused() -> None:
    assert OVERLAP.verdict(judged()).passed
    assert BALANCE.verdict(judged()).passed
    # With a hundred rows of each arm one of two covariates differs by 0.42 in one of twenty samples.
    by_chance = judged(balance=(Balance("severity", 0.8, 0.40), Balance("age", 0.1, 0.0)))
    assert BALANCE.verdict(by_chance).passed
    unlike = judged(balance=(Balance("severity", 0.8, -0.45), Balance("age", 0.1, 0.0)))
    verdict = BALANCE.verdict(unlike)
    assert (verdict.passed, verdict.reason) == (False, "unbalanced")
    assert "severity" in verdict.message
    assert "age" not in verdict.message.replace("average", "")
    unknown = judged(balance=(Balance("severity", 0.8, float("nan")),))
    assert BALANCE.verdict(unknown).reason == "unbalanced"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "not_identified"},
        {"effect": Effect(float("nan"), float("nan"), float("nan"), float("nan"), float("nan"))},
        {"effect": Effect(0.2, float("-inf"), float("inf"), 0.01, 0.05)},
        {"overlap": replace(report().overlap, auc=float("nan"))},  # type: ignore[type-var]
        {"overlap": replace(report().overlap, unsupported=float("nan"))},  # type: ignore[type-var]
    ],
)
def test_an_effect_whose_figures_are_no_numbers_or_should_not_be_there_is_refused(changes: Any) -> None:
    verdict = OVERLAP.verdict(judged(**changes))
    assert (verdict.passed, verdict.reason) == (False, "no_number")


def refuted(repetitions: int = 20, without: str = "", **p: float) -> EffectJudged:
    attempts = tuple(
        Refutation(name, "mean", 0.0, 0.1, repetitions, value, "failed" if value < 0.01 else "passed")
        for name, value in (dict.fromkeys(ATTEMPTS, 0.5) | p).items()
        if name != without
    )
    report = RefutationReport("engaged", "started", "passed", attempts, None, 0)
    return replace(judged(), refutation=report)


def test_an_effect_that_an_attempt_refutes_is_refused_by_the_name_of_the_attempt() -> None:
    assert REFUTATION.verdict(refuted(placebo_treatment=0.4, data_subset=0.02)).passed
    verdict = REFUTATION.verdict(refuted(placebo_treatment=0.4, dummy_outcome=0.001))
    assert (verdict.passed, verdict.reason) == (False, "refuted")
    assert "dummy outcome" in verdict.message.split(":")[0]
    assert "placebo" not in verdict.message.split(":")[0]
    assert REFUTATION.verdict(refuted(placebo_treatment=float("nan"))).reason == "refuted"
    nothing = replace(judged(), refutation=RefutationReport("engaged", "started", "passed", (), None, 0))
    assert REFUTATION.verdict(nothing).reason == "nothing_evaluated"


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_effect_that_was_not_tried_in_every_way_often_enough_is_refused(attempt: str) -> None:
    for given in (refuted(without=attempt), refuted(repetitions=4)):
        verdict = REFUTATION.verdict(given)
        assert (verdict.passed, verdict.reason) == (False, "too_few_attempts")
        assert attempt.replace("_", " ") in verdict.message


def test_an_attempt_whose_p_value_is_no_number_failed() -> None:
    assert [_verdict(p) for p in (float("nan"), 0.005, 0.01, 0.05)] == [
        "failed", "failed", "warning", "passed",
    ]  # fmt: skip


def test_effects_are_asked_only_of_what_is_known_on_the_index_date() -> None:
    late = table(discontinued=1.0)
    for change in ({"treatment": "discontinued"}, {"segments": {"discontinued": (1.0,)}},
                   {"negative_exposures": ("discontinued",)}):  # fmt: skip
        with pytest.raises(TrainingDataError, match="discontinued: not among the features"):
            causal_rows([late], FEATURES, SCOPE.model_copy(update=change))


def test_a_segment_that_no_column_holds_is_refused_by_name() -> None:
    with pytest.raises(TrainingDataError, match="columns stage are missing") as refused:
        causal_rows([table()], FEATURES, SCOPE.model_copy(update={"segments": {"stage": (1.0,)}}))
    assert "segment" in refused.value.next_step


@pytest.mark.parametrize("values", [np.linspace(0, 1, 60), np.arange(60) % 3, ["email", "call"] * 30])
def test_a_scope_asks_of_two_arms(values: Any) -> None:
    with pytest.raises(CausalDataError, match="treatment engaged of scope uplift is not 0/1"):
        causal_rows([table(engaged=values)], FEATURES, SCOPE).effect(seed=0)


@pytest.mark.parametrize("key", ["segments", "negative_outcomes", "negative_exposures"])
@pytest.mark.parametrize(("name", "part"), [("engaged", "treatment"), ("started", "target")])
def test_treatment_and_target_have_no_second_part(key: str, name: str, part: str) -> None:
    value = {name: (1.0,)} if key == "segments" else (name,)
    (contradiction,) = contradictions(SCOPE.model_copy(update={key: value}))
    assert contradiction.key == (key,)
    assert f"{name} is the {part}" in contradiction.reason


def test_a_treatment_is_not_adjusted_for() -> None:
    required = FeatureChoice(required=("engaged",))
    (contradiction,) = contradictions(SCOPE.model_copy(update={"features": required}))
    assert (contradiction.key, "engaged is the treatment" in contradiction.reason) == (
        ("features", "required"),
        True,
    )
