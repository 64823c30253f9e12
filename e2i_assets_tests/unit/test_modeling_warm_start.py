from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig, WarmStartConfig
from e2i_assets.modeling.tuning.study import TunedParams, tune
from e2i_assets.modeling.tuning.warm_start import (
    Pattern,
    ProblemProfile,
    WarmStart,
    profile,
    similarity,
    trials_sooner,
    warm_starts,
)
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION, candidate

HERE = ProblemProfile("LogisticRegression", "binary_classification", "roc_auc", n_samples=999, n_features=10)
ALGORITHM = Binary.algorithms["LogisticRegression"]
PREPROCESSOR = fit_preprocessor(TRAIN.X, FEATURES)


def pattern(number: int = 1, *, cold: bool = True, value: float = 0.8, **params: Any) -> Pattern:
    return Pattern(number, HERE, params, best_value=value, trials_to_best=30, cold=cold)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 1.0),
        ({"algorithm": "XGBoost"}, 0.6),
        ({"problem_type": "regression"}, 0.7),
        ({"metric": "brier"}, 0.9),
        ({"metric": ""}, 1.0),
        ({"n_samples": 99}, 0.966667),  # a third of the three powers of ten that count as far
        ({"n_samples": 10**9}, 0.9),
        ({"n_samples": None}, 0.92),
        ({"n_features": 5}, 0.95),
        ({"n_features": None}, 0.92),
        ({"n_samples": 10**9, "n_features": 10**6, "metric": "brier"}, 0.700001),
    ],
)
def test_similarity_is_the_sum_of_its_parts(change: dict[str, Any], expected: float) -> None:
    assert similarity(HERE, dataclasses.replace(HERE, **change)) == expected


def test_what_is_not_known_here_counts_half() -> None:
    unknown = dataclasses.replace(HERE, n_samples=None, n_features=None)
    assert similarity(unknown, HERE) == 0.9


def starts(*patterns: Pattern, trials: int = 50, **config: Any) -> list[WarmStart]:
    return warm_starts(HERE, patterns, ALGORITHM, WarmStartConfig(**config), trials)


def chosen(*patterns: Pattern, trials: int = 50, **config: Any) -> list[Any]:
    return [start.params for start in starts(*patterns, trials=trials, **config)]


def test_the_most_similar_come_first() -> None:
    far = dataclasses.replace(HERE, n_features=1)
    patterns = [
        dataclasses.replace(pattern(1, C=0.1, l1_ratio=0.0), profile=far),
        pattern(2, C=0.2, l1_ratio=0.5, value=0.7),
        pattern(3, C=0.3, l1_ratio=0.5, value=0.9),
    ]
    assert [params["C"] for params in chosen(*patterns)] == [0.3, 0.2, 0.1]
    assert [params["C"] for params in chosen(*patterns, min_similarity=0.95)] == [0.3, 0.2]
    assert chosen(*patterns, enabled=False) == []


def test_the_best_of_each_come_before_the_next_best_of_any() -> None:
    more = [
        dataclasses.replace(
            pattern(i, C=i / 10, l1_ratio=0.5), next_params=({"C": i + 1.0, "l1_ratio": 0.5},)
        )
        for i in (1, 2)
    ]
    assert [params["C"] for params in chosen(*more)] == [0.1, 0.2, 2.0, 3.0]
    assert [start.cold for start in starts(*more)] == [
        True,
        True,
        False,
        False,
    ]  # compared with the best ones alone


def test_each_parameters_are_tried_once_and_the_defaults_by_the_first_trial() -> None:
    """A pattern whose best another has found, or which has found nothing better, counts all the same."""
    defaults = {name: ALGORITHM.defaults[name] for name in ALGORITHM.search_space}
    alike = [
        pattern(1, C=0.3, l1_ratio=0.5),
        dataclasses.replace(pattern(2, **defaults), next_params=({"C": 0.3, "l1_ratio": 0.5},)),
        dataclasses.replace(
            pattern(3, C=0.3, l1_ratio=0.5), next_params=(defaults, {"C": 0.2, "l1_ratio": 0.5})
        ),
    ]
    assert [(start.pattern_id, start.trial) for start in starts(*alike)] == [(1, 1), (2, 0), (3, 1), (3, 2)]


def test_only_parameters_inside_the_current_space_are_tried() -> None:
    assert chosen(pattern(C=99.0, l1_ratio=0.5, gamma=1)) == [{"l1_ratio": 0.5}]
    assert chosen(pattern(C="high", l1_ratio=0.3)) == []


@pytest.mark.parametrize(("trials", "config", "expected"), [
    (200, {}, 20), (50, {}, 12), (50, {"max_trials_to_import": 3}, 3), (10, {}, 2), (1, {}, 0),
])  # fmt: skip
def test_at_most_twenty_and_a_quarter_of_the_trials(
    trials: int, config: dict[str, int], expected: int
) -> None:
    many = [pattern(i, C=0.01 * i, l1_ratio=0.5) for i in range(1, 40)]
    assert len(chosen(*many, trials=trials, **config)) == expected


def study(*patterns: Pattern) -> TunedParams:
    config = OptunaConfig(optimization=OptimizationConfig(n_trials=8))
    return tune(
        candidate("LogisticRegression"), PREPROCESSOR, TRAIN, VALIDATION, config, study_name="s",
        patterns=patterns,
    )  # fmt: skip


def test_a_study_starts_from_the_patterns_and_says_so() -> None:
    best = study(pattern(7, C=0.05, l1_ratio=0.25), pattern(8, C=99.0, l1_ratio=0.5, value=0.7))
    assert best.trials[1]["params"] == {"C": 0.05, "l1_ratio": 0.25}
    assert best.trials[2]["params"]["l1_ratio"] == 0.5
    assert [(start.pattern_id, start.trial, start.cold) for start in best.warm_start] == [
        (7, 1, True),
        (8, 2, False),  # not all of its parameters could be tried
    ]
    assert best.trials_sooner in (
        28,
        29,
    )  # by its first or second trial, of the thirty that the cold one took
    assert study().warm_start == ()
    assert study().trials_sooner is None


@pytest.mark.parametrize(("cold", "scores", "sooner"), [
    (True, [0.6, 0.8, 0.7], 28),
    (True, [0.9, 0.8, 0.7], 29),  # the defaults were better already
    (True, [0.6, None, 0.9], None),  # its parameters failed here
    (False, [0.6, 0.8, 0.7], None),
])  # fmt: skip
def test_trials_sooner_compare_with_a_cold_study_alone(
    cold: bool, scores: list[float | None], sooner: int | None
) -> None:
    assert trials_sooner(starts(pattern(cold=cold, C=0.05, l1_ratio=0.25)), scores) == sooner


def test_a_profile_tells_the_problem_by_aggregates() -> None:
    result = profile(TRAIN, "XGBoost")
    assert (result.n_samples, result.n_features, result.n_classes) == (len(TRAIN.y), 7, 2)
    assert result.class_balance == pytest.approx(min(TRAIN.y.mean(), 1 - TRAIN.y.mean()))
    assert result.feature_types == {"numeric": 6, "other": 1}
    assert result.metric == "roc_auc"
