from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import optuna
import pytest

from e2i_assets.json_files import to_json
from e2i_assets.modeling.errors import TuningError
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.training.fitting import Matrices
from e2i_assets.modeling.training.model import train_model
from e2i_assets.modeling.tuning import trials
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig, PrunerConfig, SamplerConfig
from e2i_assets.modeling.tuning.journal import StudyJournal
from e2i_assets.modeling.tuning.optuna_study import distributions, suggested
from e2i_assets.modeling.tuning.study import Progress, TunedParams, tune
from e2i_assets.modeling.tuning.trials import Fit, Fitted, LocalPool, steadiest
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION, candidate

PREPROCESSOR = fit_preprocessor(TRAIN.X, FEATURES)
BRIEF = OptunaConfig(
    pruner=PrunerConfig(n_startup_trials=2, n_warmup_steps=1), optimization=OptimizationConfig(n_trials=8)
)


def study(algorithm: str, config: OptunaConfig = BRIEF, **how: Any) -> TunedParams:
    return tune(candidate(algorithm), PREPROCESSOR, TRAIN, VALIDATION, config, study_name="s", **how)


@cache
def studied(algorithm: str) -> tuple[TunedParams, list[Progress]]:
    """One short study per algorithm, with what its observer heard."""
    heard: list[Progress] = []
    return study(algorithm, on_trial=heard.append), heard


@pytest.mark.parametrize("algorithm", Binary.algorithms)
def test_it_starts_at_the_defaults_and_never_ends_below(algorithm: str) -> None:
    tuned, heard = studied(algorithm)
    space, defaults = Binary.algorithms[algorithm].search_space, Binary.algorithms[algorithm].defaults
    assert tuned.trials[0]["params"] == {name: defaults[name] for name in space}
    assert tuned.best_value >= tuned.default_value == tuned.trials[0]["value"]
    assert set(tuned.best_params) == set(defaults)
    assert [progress.trial for progress in heard] == list(tuned.trials)
    assert [progress.done for progress in heard] == list(range(1, 9))
    assert heard[-1].best_value == tuned.best_value
    assert heard[-1].seconds_left == 0
    assert tuned.n_completed + tuned.n_pruned == tuned.n_trials == 8
    assert len(tuned.durations) == 8
    json.dumps(to_json(tuned), allow_nan=False)


@pytest.mark.parametrize("algorithm", ["XGBoost", "LightGBM", "LogisticRegression"])
def test_the_history_is_the_same_from_run_to_run(algorithm: str) -> None:
    again, tuned = study(algorithm), studied(algorithm)[0]
    assert replace(again, durations=()) == replace(tuned, durations=())


@pytest.mark.parametrize("algorithm", ["XGBoost", "LightGBM"])
def test_boosting_trials_are_really_pruned(algorithm: str) -> None:
    config = BRIEF.model_copy(update={"optimization": OptimizationConfig(n_trials=20)})
    tuned = study(algorithm, config)
    assert tuned.n_pruned > 0
    assert {t["state"] for t in tuned.trials} == {"COMPLETE", "PRUNED"}


@pytest.mark.parametrize("algorithm", Binary.algorithms)
def test_training_with_the_best_parameters_gives_the_best_trial(algorithm: str) -> None:
    tuned, _ = studied(algorithm)
    seed = BRIEF.sampler.seed
    model = train_model(candidate(algorithm), tuned.best_params, PREPROCESSOR, TRAIN, VALIDATION, seed=seed)
    assert model.metrics["validation_roc_auc"] == tuned.best_value


@pytest.mark.parametrize("algorithm", ["RandomForest", "LightGBM"])
def test_what_is_trained_is_the_chosen_trial_whatever_the_seed(algorithm: str) -> None:
    tuned = study(
        algorithm, changed(sampler=SamplerConfig(seed=7), optimization=OptimizationConfig(n_trials=3))
    )
    model = train_model(
        candidate(algorithm), tuned.chosen_params, PREPROCESSOR, TRAIN, VALIDATION, seed=tuned.seed
    )
    assert (tuned.seed, model.seed) == (7, 7)
    assert model.metrics["validation_roc_auc"] == tuned.chosen_value


def test_every_value_is_inside_the_space() -> None:
    for trial in studied("LogisticRegression")[0].trials:
        assert 0.001 <= trial["params"]["C"] <= 10
        assert trial["params"]["l1_ratio"] in (0.0, 0.25, 0.5, 0.75, 1.0)


def failing(algorithm: str, fails: Callable[[Any], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """The algorithm, of which the fits of some parameters fail with a text that quotes a patient."""
    works = Binary.algorithms[algorithm]

    def build(params: Any, seed: int) -> Any:
        if fails(params):
            raise MemoryError("patient P-0001")
        return works.build(params, seed)

    monkeypatch.setattr(
        Binary, "algorithms", {**Binary.algorithms, algorithm: dataclasses.replace(works, build=build)}
    )


def test_a_failed_trial_is_recorded_by_its_error_and_the_study_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing("LogisticRegression", lambda params: params["C"] == 1.0, monkeypatch)
    tuned = study("LogisticRegression")
    assert tuned.trials[0]["state"] == "FAIL"
    assert tuned.trials[0]["error"] == "MemoryError"
    assert tuned.trials[0]["value"] is None
    assert (tuned.n_failed, tuned.n_completed, tuned.default_value) == (1, 7, None)
    assert tuned.best_value == max(trial["value"] for trial in tuned.trials[1:])
    assert "P-0001" not in json.dumps(to_json(tuned))


def test_where_every_trial_fails_there_is_no_best_one(monkeypatch: pytest.MonkeyPatch) -> None:
    failing("LogisticRegression", lambda params: True, monkeypatch)
    with pytest.raises(
        TuningError,
        match=r"^s: no trial of LogisticRegression was finished: 8 of 8 failed \(MemoryError\)\n",
    ):
        study("LogisticRegression")


def test_a_score_that_is_no_number_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Binary, "score", lambda *_: float("nan"))
    with pytest.raises(TuningError, match="score is not finite"):
        study("LogisticRegression")


@pytest.mark.parametrize("algorithm", ["XGBoost", "LightGBM"])
def test_the_rounds_of_the_best_trial_are_reported(algorithm: str) -> None:
    tuned, _ = studied(algorithm)
    best = tuned.trials[tuned.best_trial]
    assert tuned.best_params == {**tuned.best_params, **best["params"], "n_estimators": best["rounds"]}
    assert best["value"] == tuned.best_value


@pytest.mark.parametrize("name", ["successive_halving", "hyperband", "none"])
def test_each_pruner_does_what_it_says(name: str) -> None:
    tuned = study(
        "LightGBM", changed(pruner=PrunerConfig(name=name, **{} if name == "none" else {"min_resource": 2}))
    )
    assert (tuned.n_pruned > 0) == (name != "none")


def test_a_random_study_draws_without_regard_to_what_was_found() -> None:
    drawn = study("LogisticRegression", changed(sampler=SamplerConfig(name="random", seed=3)))
    space = Binary.algorithms["LogisticRegression"].search_space
    alone = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    expected = []
    for _ in range(8):
        trial = alone.ask(distributions(space))
        expected.append(suggested(trial, space))
        alone.tell(trial, 0.0)
    assert [trial["params"] for trial in drawn.trials[1:]] == expected[:7]


@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband"])
def test_the_history_does_not_depend_on_how_many_fits_run_at_once(
    pruner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four are proposed together; one thread, or four that finish in any order."""
    config = changed(pruner=PrunerConfig(name=pruner), optimization=OptimizationConfig(n_trials=12, n_jobs=4))
    one = study("LightGBM", config)
    monkeypatch.setattr(trials, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(trials, "free_cores", lambda: 4)
    four = study("LightGBM", config)
    assert replace(four, durations=()) == replace(one, durations=())
    assert one.n_pruned > 0


def changed(**parts: Any) -> OptunaConfig:
    return BRIEF.model_copy(update=parts)


@pytest.mark.parametrize(
    "torn", [b'{"number": 5, "lev', b"\0" * 40 + b"\n", b'{"number": 5}\n{}\n', b"\xff\n"]
)
def test_an_interrupted_study_ends_as_one_that_was_not(tmp_path: Path, torn: bytes) -> None:
    """Killed after five of eight trials, in the middle of a line; what was fitted is not fitted again."""
    path, whole = tmp_path / "studies" / "s-1.jsonl", studied("LightGBM")[0]

    def killed(progress: Progress) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study("LightGBM", on_trial=killed, journal=StudyJournal(path))
    path.write_bytes(path.read_bytes() + torn)
    fitted: list[int] = []

    class Counting(LocalPool):
        def run(self, fits: Any, levels: Any) -> Any:
            fitted.extend(fit.number for fit in fits)
            return super().run(fits, levels)

    resumed = study("LightGBM", journal=StudyJournal(path), pool=Counting())
    assert replace(resumed, durations=()) == replace(whole, durations=())
    assert fitted == [5, 6, 7]
    for name in ("s-0", "s-x-1"):  # of other data, and of another study
        (path.parent / f"{name}.jsonl").touch()
    StudyJournal(path).remove()
    assert [file.name for file in path.parent.iterdir()] == ["s-x-1.jsonl"]


def test_a_budget_in_fits_ends_the_study_the_same_everywhere() -> None:
    config = changed(optimization=OptimizationConfig(n_trials=50, budget_fits=4.0))
    one, again = study("LightGBM", config), study("LightGBM", config)
    assert 3 < one.fits <= 4.5
    assert 5 < one.n_trials < 50
    assert replace(one, durations=()) == replace(again, durations=())


def test_a_budget_is_in_fits_also_where_the_defaults_fail() -> None:
    class WithoutDefaults(LocalPool):
        def run(self, fits: Sequence[Fit], levels: Sequence[Matrices]) -> list[Fitted]:
            failed = Fitted("FAIL", error="ValueError", work=len(TRAIN.y))
            return [
                came if fit.number else failed
                for fit, came in zip(fits, super().run(fits, levels), strict=True)
            ]

    config = changed(optimization=OptimizationConfig(n_trials=50, budget_fits=4.0))
    tuned = study("LightGBM", config, pool=WithoutDefaults())
    assert tuned.default_value is None
    assert 2 < tuned.fits <= 5
    assert 3 <= tuned.n_trials < 50


def test_a_timeout_that_is_over_leaves_the_defaults() -> None:
    tuned = study("LogisticRegression", changed(optimization=OptimizationConfig(n_trials=50, timeout=1e-9)))
    assert tuned.n_trials == 1
    assert tuned.best_value == tuned.default_value


@pytest.mark.parametrize(
    ("fits", "number"),
    [
        ({0: (0.70, 0.60, 0.04), 3: (0.71, 0.62, 0.04)}, 0),  # level, and the loss is less
        ({0: (0.68, 0.60, 0.04), 3: (0.71, 0.62, 0.04)}, 3),  # behind by more than half a standard error
        ({0: (0.68, 0.60, 0.10), 3: (0.71, 0.62, 0.04)}, 3),  # the noise that counts is the best one's
        ({5: (0.71, 0.60, 0.04), 2: (0.71, 0.60, 0.04)}, 2),  # the first of equals
        ({0: (-3.0, 3.0, 0.0), 1: (-2.9, 2.9, 0.0)}, 1),  # where the loss is the score, the best one
    ],
)
def test_of_trials_level_with_the_best_the_least_loss_is_trained(fits: dict[int, Any], number: int) -> None:
    made = {n: Fitted("COMPLETE", value, loss, noise) for n, (value, loss, noise) in fits.items()}
    assert steadiest(made) == number


@pytest.mark.parametrize("algorithm", ["LightGBM", "LogisticRegression"])
def test_what_is_trained_was_tried(algorithm: str) -> None:
    result, _ = studied(algorithm)
    chosen = result.trials[result.chosen_trial]
    assert (chosen["state"], chosen["value"]) == ("COMPLETE", result.chosen_value)
    assert result.chosen_value <= result.best_value
    seed = BRIEF.sampler.seed
    model = train_model(
        candidate(algorithm), result.chosen_params, PREPROCESSOR, TRAIN, VALIDATION, seed=seed
    )
    assert model.metrics["validation_roc_auc"] == result.chosen_value
