from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from e2i_assets.gates.evaluation import SUCCESS_CRITERIA
from e2i_assets.json_files import to_json
from e2i_assets.modeling.evaluation.classification_plots import calibration_plot, decision_plot, roc_plot
from e2i_assets.modeling.evaluation.comparing import compared_with
from e2i_assets.modeling.evaluation.evaluate import evaluate, lift, meets, plausibility
from e2i_assets.modeling.metrics.classification import (
    youden_threshold,
)
from e2i_assets.modeling.metrics.delong import auc_interval
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.scopes.scope import SuccessCriteria
from e2i_assets_tests.unit.modeling_frames import DATA, TEST, TRAIN, VALIDATION, scope, toy, trained


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(trained("LogisticRegression"), TEST, VALIDATION, TRAIN)


def test_the_threshold_comes_from_validation_not_test(evaluation: Evaluation) -> None:
    model = trained("LogisticRegression")
    assert evaluation.threshold == youden_threshold(VALIDATION.y, model.predict(VALIDATION.X))
    flipped = dataclasses.replace(TEST)
    object.__setattr__(flipped, "y", (1 - TEST.y).astype(np.int8))
    assert evaluate(model, flipped, VALIDATION, TRAIN).threshold == evaluation.threshold


def test_the_figures_of_an_evaluation_fit_together(evaluation: Evaluation) -> None:
    cells = evaluation.curves["confusion"]
    assert sum(cells.values()) == evaluation.n_test == len(TEST.y)
    assert cells["tp"] / (cells["tp"] + cells["fn"]) == pytest.approx(
        evaluation.metrics["test"]["recall_at_threshold"]
    )
    assert evaluation.primary("test") == pytest.approx(
        auc_interval(TEST.y, trained("LogisticRegression").predict(TEST.X)).auc
    )
    assert (
        evaluation.interval("test")
        == auc_interval(TEST.y, trained("LogisticRegression").predict(TEST.X))[1:3]
    )
    assert evaluation.curves["roc"][0] == [0, 0]
    assert evaluation.curves["roc"][-1] == [1, 1]
    assert evaluation.baseline == 0.5
    json.dumps(to_json(evaluation), allow_nan=False)


@pytest.mark.parametrize(
    ("auc", "limit", "undeclared", "passes"),
    [
        (0.97, 0.95, ["cd420"], False),
        (0.97, 0.95, [], True),
        (0.95, 0.95, ["cd420"], True),
        (1.0, 1.0, ["cd420"], True),
    ],
)
def test_a_test_auc_that_is_too_good_is_a_question(evaluation, auc, limit, undeclared, passes):
    """Criteria met or not: nobody has said when the column is known that may explain it."""
    evaluated = dataclasses.replace(
        evaluation, metrics={"test": evaluation.metrics["test"] | {"roc_auc": auc}}
    )
    asked = scope().model_copy(update={"plausible_max_auc": limit})
    results = (*meets(asked.success_criteria, evaluated), plausibility(asked, evaluated, undeclared))
    verdict = SUCCESS_CRITERIA.verdict(results)
    assert verdict.passed is passes
    assert ("every feature is declared" in verdict.message) is (auc > limit and not undeclared)
    if not passes:
        assert verdict.reason == "implausible"
        assert "cd420" in verdict.message
        assert "available_at: index" in verdict.next_step


@pytest.mark.parametrize(
    ("model", "min_lift", "passes"),
    [
        ("no_features", 0.1, True),
        ("no_features", 0.99, False),
        ("simple", -0.2, True),
        ("simple", 0.5, False),
    ],
)
def test_a_model_must_beat_the_baseline_that_its_scope_names(
    evaluation: Evaluation, model: str, min_lift: float, passes: bool
) -> None:
    assert lift(scope(), evaluation) is None
    asked = scope(baseline={"model": model, "min_lift": min_lift})
    result = lift(asked, evaluation)
    base = {"no_features": 0.5, "simple": evaluation.compared[0].value}[model]
    auc = evaluation.primary("test")
    assert result is not None
    assert auc is not None
    assert (result.name, result.ok) == (f"min_lift_over_{model}", passes)
    assert result.value == pytest.approx((auc - base) / base)
    verdict = SUCCESS_CRITERIA.verdict((result,))
    assert verdict.passed == passes


def test_a_lift_that_cannot_be_computed_is_none(evaluation: Evaluation) -> None:
    unknown = dataclasses.replace(evaluation, compared=())
    result = lift(scope(baseline={"model": "simple"}), unknown)
    assert result is not None
    assert (result.value, result.ok) == (None, False)


def test_only_criteria_that_are_not_met_are_named_in_a_refusal(evaluation):
    evaluated = dataclasses.replace(
        evaluation, metrics={"test": evaluation.metrics["test"] | {"roc_auc": 0.32}}
    )
    results = (*meets(scope().success_criteria, evaluated), plausibility(scope(), evaluated, []))
    verdict = SUCCESS_CRITERIA.verdict(results)
    assert verdict.reason == "criteria_not_met"
    assert "min_auc: 0.320 against" in verdict.message
    assert "plausible" not in verdict.message


def test_a_model_is_compared_with_a_simple_one_on_the_same_rows() -> None:
    linear, forest = (
        evaluate(trained(name), TEST, VALIDATION, TRAIN) for name in ("LogisticRegression", "RandomForest")
    )
    for given in (linear, forest):
        (simple,) = given.compared
        assert simple.name == "LogisticRegression"
        assert simple.difference == pytest.approx(given.primary("test") - simple.value)
        assert simple.difference_interval.low <= simple.difference <= simple.difference_interval.high
    # Of nearly the same predictions little is left to chance; the rows alone would leave more.
    own = linear.interval("test")
    narrow, wide = (given.compared[0].difference_interval for given in (linear, forest))
    assert narrow.high - narrow.low < wide.high - wide.low < own.high - own.low


def test_a_paired_difference_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)

    def drawn(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        y = (rng.random(rows) < 0.3).astype(int)
        shared = rng.normal(size=rows) + y
        return y, shared, shared + rng.normal(size=rows)

    y, better, worse = drawn(200_000)
    truth, hits = roc_auc_score(y, better) - roc_auc_score(y, worse), 0
    for _ in range(150):
        low, high = compared_with("other", Binary(), *drawn(120)).difference_interval
        hits += low <= truth <= high
    assert 0.9 * 150 <= hits < 150


def test_every_split_is_scored_with_intervals(evaluation: Evaluation) -> None:
    assert set(evaluation.metrics) == set(evaluation.intervals) == {"train", "validation", "test"}
    assert evaluation.n_train == len(TRAIN.y)
    assert evaluation.primary("train") == pytest.approx(
        trained("LogisticRegression").metrics["train_roc_auc"]
    )


def test_the_oracle_is_scored_on_the_same_rows() -> None:
    model = trained("LogisticRegression")
    evaluated = evaluate(model, TEST, VALIDATION, TRAIN, truth=DATA.p[480:600])
    assert evaluated.oracle == pytest.approx(roc_auc_score(TEST.y, DATA.p[480:600]))
    assert evaluate(model, TEST, VALIDATION, TRAIN).oracle is None


def test_many_rows_give_few_points() -> None:
    data = toy(5000, seed=9)
    evaluated = evaluate(trained("LogisticRegression"), data.split("test", 0, 5000), VALIDATION, TRAIN)
    assert len(evaluated.curves["roc"]) <= 200
    assert len(evaluated.curves["calibration"]) == 10
    # Gaps in the data cost something that the true probability does not lose.
    assert roc_auc_score(data.y, data.p) - 0.04 < evaluated.primary("test") < roc_auc_score(data.y, data.p)


def test_pictures_are_small_and_the_same_each_time(evaluation: Evaluation) -> None:
    for draw in (roc_plot, calibration_plot, decision_plot):
        png = draw(evaluation)
        assert png.startswith(b"\x89PNG")
        assert len(png) < 40_000
        assert png == draw(evaluation)


def test_criteria_are_judged_on_test_in_both_directions(evaluation: Evaluation) -> None:
    auc = evaluation.metrics["test"]["roc_auc"]
    verdicts = meets(
        SuccessCriteria({"min_auc": auc, "min_roc_auc": auc + 0.001, "max_brier": 0.9, "max_log_loss": 0.01}),
        evaluation,
    )
    assert [v.ok for v in verdicts] == [True, False, True, False]
    assert verdicts[0][:3] == ("min_auc", auc, auc)


def test_unknown_and_missing_metrics_are_not_met(evaluation: Evaluation) -> None:
    assert "no metric lift" in meets(SuccessCriteria({"min_lift": 0.0}), evaluation)[0].reason
    for broken in ({}, {"test": {}}, {"test": {"roc_auc": None}}, {"test": {"roc_auc": float("nan")}}):
        (verdict,) = meets(SuccessCriteria({"min_auc": 0.0}), dataclasses.replace(evaluation, metrics=broken))
        assert not verdict.ok
        assert verdict.value is None
        assert "could not be computed" in verdict.reason
