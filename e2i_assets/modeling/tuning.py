"""Hyperparameters: Optuna, fitted on train and scored on validation, as the problem type scores.

The best of many trials on one validation split is a flattering figure, the more so the smaller the split;
it chooses parameters, and the test split tells how good they are. The defaults are the first trial, so that
tuning never ends below them. With `n_jobs: 1` and no timeout the history is the same from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from e2i_assets.modeling.algorithms import Algorithm
from e2i_assets.modeling.config import YamlModel
from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.errors import TuningError
from e2i_assets.modeling.fitting import REPORT_EVERY, Matrices
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.selection import ModelCandidate

if TYPE_CHECKING:
    import optuna
    from sklearn.compose import ColumnTransformer


class SamplerConfig(BaseModel):
    """How trials are proposed; `seed` makes the study, and every model in it, reproducible."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["tpe"] = "tpe"
    seed: int = Field(default=42, ge=0)
    n_startup_trials: int = Field(default=10, ge=1)
    multivariate: bool = True


class PrunerConfig(BaseModel):
    """When a boosting trial is given up: below the median of the earlier ones at the same step.

    A step is five boosting rounds. Giving up much earlier favours large learning rates, which are ahead at
    first and behind in the end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["median"] = "median"
    n_startup_trials: int = Field(default=5, ge=0)
    n_warmup_steps: int = Field(default=10, ge=0)


class OptimizationConfig(BaseModel):
    """How long: trials, seconds (`timeout`, none by default) and trials side by side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_trials: int = Field(default=50, ge=1)
    timeout: float | None = Field(default=None, gt=0)
    n_jobs: int = Field(default=1, ge=1)


class OptunaConfig(YamlModel):
    """`config/optuna_config.yaml`."""

    sampler: SamplerConfig = SamplerConfig()
    pruner: PrunerConfig = PrunerConfig()
    optimization: OptimizationConfig = OptimizationConfig()


@dataclass(frozen=True)
class TunedParams:
    """The outcome of a study.

    Attributes:
        best_params: the defaults with the best trial's parameters; what `train_model` takes.
        metric: what trials are scored by on validation; more is better.
        best_value: score of the best trial, the first of equals.
        trials: number, state, params, value (a pruned one's last that was watched) of each trial, in order.
        durations: seconds of each trial, in order; apart, because they differ from run to run.
    """

    study_name: str
    algorithm: str
    metric: str
    best_params: Mapping[str, Any]
    best_value: float
    default_value: float
    n_trials: int
    n_completed: int
    n_pruned: int
    trials: tuple[Mapping[str, Any], ...]
    durations: tuple[float, ...]


def tune(
    candidate: ModelCandidate,
    preprocessor: ColumnTransformer,
    train: LabelledSplit,
    validation: LabelledSplit,
    config: OptunaConfig,
    *,
    study_name: str,
    on_trial: Callable[[Mapping[str, Any]], None] | None = None,
) -> TunedParams:
    """Search the candidate's space; the study lives in memory.

    Args:
        preprocessor: fitted on train.
        train, validation: fitted on, and scored on.
        on_trial: hears of every finished trial, as in `TunedParams.trials`.

    Raises:
        TuningError: a trial failed (with its parameters), or the time was over before one was finished.
    """
    import optuna

    problem = train.problem
    algorithm = problem.algorithm(candidate.algorithm)
    data = transform(preprocessor, train, validation)

    def tell(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if on_trial:
            on_trial(_plain(trial))

    shown = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            study_name=study_name,
            direction="maximize",
            sampler=_sampler(config.sampler),
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=config.pruner.n_startup_trials, n_warmup_steps=config.pruner.n_warmup_steps
            ),
        )
        study.enqueue_trial({name: algorithm.defaults[name] for name in algorithm.search_space})
        study.optimize(
            lambda trial: _objective(trial, problem, algorithm, data, config.sampler.seed),
            n_trials=config.optimization.n_trials,
            timeout=config.optimization.timeout,
            n_jobs=config.optimization.n_jobs,
            callbacks=[tell],
        )
    finally:
        optuna.logging.set_verbosity(shown)
    return _outcome(study, algorithm, problem.scorer)


def _sampler(config: SamplerConfig) -> optuna.samplers.BaseSampler:
    import warnings

    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=config.seed, n_startup_trials=config.n_startup_trials, multivariate=config.multivariate
        )


def _objective(
    trial: optuna.Trial, problem: Problem, algorithm: Algorithm, data: Matrices, seed: int
) -> float:
    import optuna

    def report(boosting_round: int, score: float) -> None:
        trial.report(float(score), boosting_round // REPORT_EVERY)
        if trial.should_prune():
            raise optuna.TrialPruned

    params = {**algorithm.defaults, **suggest(trial, algorithm.search_space)}
    try:
        estimator = algorithm.build(params, seed)
        algorithm.fit(estimator, data, report)
        prediction = problem.predict(estimator, data.X_validation)
    except optuna.TrialPruned:
        raise
    except Exception as error:
        raise TuningError(f"{algorithm.name}: trial {trial.number} with {params} failed: {error}") from error
    return problem.score(data.y_validation, prediction)


def suggest(trial: optuna.Trial, space: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One value per parameter of a search space in the guide's format."""
    ask = {
        "int": trial.suggest_int, "float": trial.suggest_float, "categorical": trial.suggest_categorical,
    }  # fmt: skip
    return {
        name: ask[spec["type"]](name, **{k: v for k, v in spec.items() if k != "type"})  # type: ignore[operator]
        for name, spec in space.items()
    }


def _plain(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name,
        "params": dict(trial.params),
        "value": trial.value,
    }


def _outcome(study: optuna.Study, algorithm: Algorithm, metric: str) -> TunedParams:
    trials = tuple(_plain(t) for t in study.trials)
    states = [t["state"] for t in trials]
    if "COMPLETE" not in states:
        raise TuningError(f"{study.study_name}: no trial was finished in time", "Raise optimization.timeout.")
    seconds = tuple(t.duration.total_seconds() if t.duration else 0.0 for t in study.trials)
    return TunedParams(
        study_name=study.study_name,
        algorithm=algorithm.name,
        metric=metric,
        best_params={**algorithm.defaults, **study.best_params},
        best_value=float(study.best_value),
        default_value=float(trials[0]["value"]),
        n_trials=len(trials),
        n_completed=states.count("COMPLETE"),
        n_pruned=states.count("PRUNED"),
        trials=trials,
        durations=seconds,
    )
