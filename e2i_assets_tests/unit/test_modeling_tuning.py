from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from e2i_assets.json_files import to_json
from e2i_assets.modeling.errors import TuningError
from e2i_assets.modeling.preprocessing import fit_preprocessor
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.training import train_model
from e2i_assets.modeling.tuning import OptimizationConfig, OptunaConfig, PrunerConfig, TunedParams, tune
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION, candidate

PREPROCESSOR = fit_preprocessor(TRAIN.X, FEATURES)
BRIEF = OptunaConfig(
    pruner=PrunerConfig(n_startup_trials=2, n_warmup_steps=1), optimization=OptimizationConfig(n_trials=8)
)


def study(algorithm: str, config: OptunaConfig = BRIEF, on_trial: Any = None) -> TunedParams:
    return tune(
        candidate(algorithm), PREPROCESSOR, TRAIN, VALIDATION, config, study_name="s", on_trial=on_trial
    )


@cache
def told(algorithm: str) -> tuple[TunedParams, list[Any]]:
    """One short study per algorithm, with what its observer heard."""
    heard: list[Any] = []
    return study(algorithm, on_trial=heard.append), heard


@pytest.mark.parametrize("algorithm", Binary.algorithms)
def test_it_starts_at_the_defaults_and_never_ends_below(algorithm: str) -> None:
    found, heard = told(algorithm)
    space, defaults = Binary.algorithms[algorithm].search_space, Binary.algorithms[algorithm].defaults
    assert found.trials[0]["params"] == {name: defaults[name] for name in space}
    assert found.best_value >= found.default_value == found.trials[0]["value"]
    assert set(found.best_params) == set(defaults)
    assert heard == list(found.trials)
    assert found.n_completed + found.n_pruned == found.n_trials == 8
    assert len(found.durations) == 8
    json.dumps(to_json(found), allow_nan=False)


@pytest.mark.parametrize("algorithm", ["XGBoost", "LightGBM", "LogisticRegression"])
def test_the_history_is_the_same_from_run_to_run(algorithm: str) -> None:
    again, found = study(algorithm), told(algorithm)[0]
    assert replace(again, durations=()) == replace(found, durations=())


@pytest.mark.parametrize("algorithm", ["XGBoost", "LightGBM"])
def test_boosting_trials_are_really_pruned(algorithm: str) -> None:
    config = BRIEF.model_copy(update={"optimization": OptimizationConfig(n_trials=20)})
    found = study(algorithm, config)
    assert found.n_pruned > 0
    assert {t["state"] for t in found.trials} == {"COMPLETE", "PRUNED"}


@pytest.mark.parametrize("algorithm", Binary.algorithms)
def test_training_with_the_best_parameters_gives_the_best_trial(algorithm: str) -> None:
    found, _ = told(algorithm)
    seed = BRIEF.sampler.seed
    model = train_model(candidate(algorithm), found.best_params, PREPROCESSOR, TRAIN, VALIDATION, seed=seed)
    assert model.metrics["validation_roc_auc"] == found.best_value


def test_every_value_is_inside_the_space() -> None:
    for trial in told("LogisticRegression")[0].trials:
        assert 0.001 <= trial["params"]["C"] <= 10
        assert trial["params"]["l1_ratio"] in (0.0, 0.25, 0.5, 0.75, 1.0)


def test_a_failing_trial_is_an_error_with_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(params: Any, seed: int) -> Any:
        raise MemoryError("no room")

    broken = dataclasses.replace(Binary.algorithms["LogisticRegression"], build=build)
    monkeypatch.setattr(Binary, "algorithms", {"LogisticRegression": broken})
    with pytest.raises(TuningError, match=r"LogisticRegression: trial 0 with .*'C': 1.0.* failed: no room"):
        study("LogisticRegression")
