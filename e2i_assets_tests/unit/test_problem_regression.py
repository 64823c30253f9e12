"""Regression: valid targets, honest intervals, algorithms that learn, and a gate that blocks."""

from __future__ import annotations

import dataclasses
import json
import re
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score

from e2i_assets.assets import shown
from e2i_assets.assets import splits as splits_asset
from e2i_assets.cli.results import _interval, _without_unit
from e2i_assets.gates.evaluation import SUCCESS_CRITERIA
from e2i_assets.json_files import to_json
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import NoCandidateError, ServedModelError, SplitError, TrainingDataError
from e2i_assets.modeling.evaluation.evaluate import evaluate, meets, plausibility
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Evaluation, Problem
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.modeling.scopes.answerable import target_obstacle
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.candidate import (
    Finalist,
    ModelCandidate,
    _rationale,
    _reasons,
    select_candidate,
)
from e2i_assets.modeling.selection.catalogue import CATALOGUE
from e2i_assets.modeling.training.model import TrainedModel, train_model
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig
from e2i_assets.modeling.tuning.study import tune
from e2i_assets_tests.serving_toy import feature
from e2i_assets_tests.unit.modeling_frames import trained_as

PROBLEM = Regression()


def scope(**changes: object) -> Scope:
    document = {
        "name": "progression", "description": "How far a year later?", "problem_type": "regression",
        "target": "progression", "success_criteria": {"max_rmse": 65},
    }  # fmt: skip
    return as_scope(document | changes)


@cache
def splits() -> dict[str, LabelledSplit]:
    """Disease progression a year after baseline of 442 diabetics (Efron et al. 2004)."""
    data = load_diabetes(as_frame=True)
    X = data.data.sample(frac=1, random_state=0).reset_index(drop=True)
    y = data.target.sample(frac=1, random_state=0).reset_index(drop=True)
    cuts = {"train": slice(0, 264), "validation": slice(264, 353), "test": slice(353, 442)}
    return {n: LabelledSplit(n, X[cut].reset_index(drop=True), y[cut], PROBLEM) for n, cut in cuts.items()}


FEATURES = tuple(feature(name, "numeric") for name in load_diabetes().feature_names)


@cache
def candidate() -> ModelCandidate:
    return select_candidate(scope(), splits()["train"], features=FEATURES, seed=42)


@cache
def trained(algorithm: str) -> TrainedModel:
    return trained_as(algorithm, candidate(), splits(), FEATURES)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(
        trained(candidate().algorithm), *(splits()[name] for name in ("test", "validation", "train"))
    )


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([1.0, None, 2.0], "1 of 3 rows is no finite number"),
        ([1.0, float("inf"), 2.0], "1 of 3 rows is no finite number"),
        (["low", 2, 3], "1 of 3 rows is no finite number"),
        ([2.0, 2.0, 2.0], "all 3 rows is the same"),
        ([1.0, 2.0], "3 rows of features, 2"),
    ],
)
def test_a_target_must_be_finite_numbers_that_differ(y: list[object], words: str) -> None:
    with pytest.raises(TrainingDataError, match=f"train: .*{words}"):
        LabelledSplit("train", pd.DataFrame({"x": range(3)}), y, PROBLEM)


@pytest.mark.parametrize(
    ("problem", "refused"), [(PROBLEM, True), (Binary(), True), (Multiclass(("low", "mid", "high")), False)]
)
def test_text_is_refused_where_a_target_is_a_number(problem: Problem, refused: bool) -> None:
    """Before anything is computed with it, and without a value; where every scope's is, nothing is split."""
    scope: Any = SimpleNamespace(
        name="spend", target="cost", problem=problem, problem_type=problem.problem_type
    )
    outcomes = pd.DataFrame({"cost": pd.Series(["751", "352", "high"], dtype=object)})
    obstacle = target_obstacle(scope, "train", outcomes["cost"])
    assert (obstacle is not None and obstacle.code == "target_type") is refused
    if not refused:
        return
    with pytest.raises(SplitError, match="scope spend: cost is text") as error:
        splits_asset._faults([scope], outcomes)
    assert error.value.code == "target_type"
    assert "dtype: number" in error.value.next_step
    assert "751" not in error.value.summary


def test_too_few_rows_and_classes_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="29 rows, 30 are needed"):
        PROBLEM.require_folds("train", np.arange(29.0), 3)
    with pytest.raises(TrainingDataError, match="two values only") as refused:
        PROBLEM.require_folds("train", np.array([0.0, 1.0] * 50), 3)
    assert "binary_classification" in refused.value.next_step


@pytest.mark.parametrize("algorithm", Regression.algorithms)
def test_every_algorithm_beats_the_mean(algorithm: str) -> None:
    model, test = trained(algorithm), splits()["test"]
    predicted = model.predict(test.X)
    assert predicted.shape == (89,)
    assert r2_score(test.y, predicted) > 0.3
    assert model.metrics["validation_rmse"] < 62
    assert model.baseline == (pytest.approx(splits()["train"].y.mean()),)
    assert next(iter(model.feature_importance)) in ("bmi", "s5", "bp")
    assert sum(model.feature_importance.values()) == pytest.approx(1)


@pytest.mark.parametrize("algorithm", ["LightGBM", "XGBoost", "Lasso"])
def test_tuning_maximises_the_negative_error(algorithm: str) -> None:
    chosen = PROBLEM.algorithms[algorithm]
    named = dataclasses.replace(candidate(), algorithm=algorithm, search_space=chosen.search_space)
    train, validation = splits()["train"], splits()["validation"]
    config = OptunaConfig(optimization=OptimizationConfig(n_trials=4))
    tuned = tune(
        named, fit_preprocessor(train.X, FEATURES), train, validation, config, study_name="progression"
    )
    assert tuned.metric == "neg_rmse"
    assert tuned.best_value == max(t["value"] for t in tuned.trials) < 0
    assert tuned.default_value == pytest.approx(-trained(algorithm).metrics["validation_rmse"])


def test_the_simple_model_is_chosen_where_it_is_as_good() -> None:
    selected = candidate()
    assert selected.metric == "neg_rmse"
    assert "neg_rmse -5" in selected.rationale
    assert selected.finalist.behind <= selected.finalist.noise
    assert set(selected.alternatives) == set(CATALOGUE) - {selected.algorithm}
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 10)), columns=[f.name for f in FEATURES])
    y = 1e4 * (X["bmi"] + 0.5 * X["s5"] + rng.normal(size=300))
    straight = LabelledSplit("train", X, y, PROBLEM)
    assert select_candidate(scope(), straight, features=FEATURES, seed=42).family == "linear"


def test_the_noise_of_a_comparison_is_how_much_it_moves() -> None:
    """Two models of the same rows, again and again: the standard error told is that of the differences."""
    rng = np.random.default_rng(1)
    gaps, noises = [], []
    for _ in range(300):
        y = rng.normal(size=120)
        shared = rng.normal(size=120) * 0.8
        answer = [y + shared + 0.3 * rng.normal(size=120), y + shared + 0.5 * rng.normal(size=120)]
        compared = PROBLEM.compare([y[:60], y[60:]], [[p[:60] for p in answer], [p[60:] for p in answer]])
        gaps.append(compared.means[0] - compared.means[1])
        noises.append(compared.noise.max())
    assert np.mean(noises) == pytest.approx(np.std(gaps), rel=0.15)
    assert compared.noise.min() == 0


@pytest.mark.parametrize("errors", ["normal", "heavy"])
def test_intervals_cover_the_truth(errors: str) -> None:
    rng = np.random.default_rng(2)
    hits = {"rmse": 0, "mae": 0, "r2": 0, "mean_error": 0}
    big = rng.normal(size=200_000) if errors == "normal" else rng.standard_t(6, size=200_000)
    truth = {
        "rmse": np.sqrt(np.mean(big**2)), "mae": np.abs(big).mean(), "mean_error": 0,
        "r2": 1 - np.mean(big**2) / (4 + np.mean(big**2)),
    }  # fmt: skip
    for _ in range(400):
        noise = rng.normal(size=80) if errors == "normal" else rng.standard_t(6, size=80)
        signal = 2 * rng.normal(size=80)
        intervals = PROBLEM.intervals(signal + noise, signal, None)
        for name in hits:
            hits[name] += intervals[name].low <= truth[name] <= intervals[name].high
    assert {name: count >= 0.9 * 400 for name, count in hits.items()} == dict.fromkeys(hits, True), hits


def test_metrics_lie_in_their_intervals_and_match_their_definitions(evaluation: Evaluation) -> None:
    metrics, intervals = evaluation.metrics["test"], evaluation.intervals["test"]
    assert all(intervals[name].low <= value <= intervals[name].high for name, value in metrics.items())
    y, p = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0])
    result = PROBLEM.metrics(y, p, None)
    assert result["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert result["mae"] == 1
    assert result["mean_error"] == pytest.approx(-1 / 3)
    assert result["mape"] == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert PROBLEM.metrics(y - 1, p, None)["mape"] is None
    assert not re.search(r"\d(?!\d*%)", PROBLEM.reasons(y - 1, p, None)["mape"])  # few rows: no count
    assert PROBLEM.intervals(y, y, None)["rmse"] is None


def test_what_the_true_means_explain_is_told_from_their_rmse(evaluation: Evaluation) -> None:
    y = splits()["test"].y
    means = y + np.random.default_rng(0).normal(0, 20, len(y))
    told = _without_unit(dataclasses.replace(evaluation, oracle=PROBLEM.measure(y, means)))
    assert told is not None
    assert told["test"] == evaluation.metrics["test"]["r2"]
    assert told["oracle"] == pytest.approx(r2_score(y, means))
    unknown = _without_unit(evaluation)
    assert unknown is not None
    assert unknown["oracle"] == "unavailable"


def test_an_evaluation_is_of_aggregates_and_beats_its_baseline(evaluation: Evaluation) -> None:
    assert (evaluation.primary_metric, evaluation.threshold) == ("rmse", None)
    assert evaluation.primary("test") < evaluation.baseline
    bins = evaluation.curves["by_prediction"]
    assert sum(b["n"] for b in bins) == evaluation.n_test
    assert min(b["n"] for b in bins) >= 20
    json.dumps(to_json(evaluation), allow_nan=False)
    plots = PROBLEM.plots(evaluation)
    assert set(plots) == {"predicted_vs_actual.png", "residuals.png"}
    assert plots == PROBLEM.plots(evaluation)


def test_the_gate_blocks_an_error_that_is_too_large_and_an_r2_that_is_too_good(
    evaluation: Evaluation,
) -> None:
    def verdict(asked: Scope, undeclared: tuple[str, ...] = ()) -> tuple[bool, str, str]:
        results = (*meets(asked.success_criteria, evaluation), plausibility(asked, evaluation, undeclared))
        judged = SUCCESS_CRITERIA.verdict(results)
        return judged.passed, judged.reason, judged.message

    assert verdict(scope())[0]
    passed, reason, message = verdict(scope(success_criteria={"max_rmse": 20}))
    assert (passed, reason) == (False, "criteria_not_met")
    assert "max_rmse" in message
    passed, reason, message = verdict(scope(plausible_max_r2=0.2), ("bmi",))
    assert (passed, reason) == (False, "implausible")
    assert "r2" in message
    assert "bmi" in message


def test_figures_of_a_small_unit_are_told(evaluation: Evaluation) -> None:
    """Of a target divided by 1e8, in the table, the gate, the reasons and Dagit; shares keep three decimals."""
    small = {**evaluation.metrics["test"], "rmse": 6.1234e-7, "r2": 0.4567}
    evaluated = dataclasses.replace(evaluation, metrics={**evaluation.metrics, "test": small})
    results = meets(scope(success_criteria={"max_rmse": 5e-7, "min_r2": 0.1}).success_criteria, evaluated)
    verdict = SUCCESS_CRITERIA.judge(results)
    assert "max_rmse: 6.123e-07 against 5e-07" in verdict.message
    assert "rmse 6.123e-07, at most 5e-07 wanted" in results[0].reason
    assert [r.told for r in results] == ["6.123e-07", "0.457"]
    assert _interval("rmse", 6.1234e-7, [5e-7, 7e-7]) == "6.123e-07 (5e-07-7e-07)"
    assert _interval("roc_auc", 0.71234, [0.6, 0.8]) == "0.712 (0.600-0.800)"
    assert shown.interval((5e-7, 7e-7), PROBLEM, "mae") == "5e-07 to 7e-07"
    best, other = (
        Finalist(name, 1.0, score, 1e-8, -6e-7 - score, 1e-9)
        for name, score in (("Ridge", -6e-7), ("XGBRegressor", -8e-7))
    )
    chosen = PROBLEM.algorithms["Ridge"]
    assert _reasons(chosen, [best, other], PROBLEM) == {"XGBRegressor": "neg_rmse 2e-07 behind"}
    assert "neg_rmse -6e-07 ± 1e-08 on train" in _rationale(chosen, [best, other], [best], scope())


def test_a_candidate_of_another_kind_is_chosen_again() -> None:
    train, named = splits()["train"], dataclasses.replace(candidate(), algorithm="LogisticRegression")
    with pytest.raises(NoCandidateError, match="LogisticRegression does not do regression") as refused:
        train_model(named, {}, fit_preprocessor(train.X, FEATURES), train, splits()["validation"], seed=42)
    assert "candidate again" in refused.value.next_step


def test_a_classifier_is_no_regression() -> None:
    with pytest.raises(ServedModelError, match="tells classes apart"):
        PROBLEM.answer([0, 1], "progression", None)
    answer = PROBLEM.answer((), "progression", None)
    assert (answer.service, answer.port, answer.gives) == ("regression-service", 3002, "value")
