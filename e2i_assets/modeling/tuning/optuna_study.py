"""What a study asks of Optuna: quiet, a value for each parameter, and which parameters mattered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

MEANINGFUL = 5
"""Different scores from which on parameters can be told apart."""


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna says warnings only, and afterwards what it said before."""
    import optuna

    shown = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(shown)


def distributions(space: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Optuna's distribution of each parameter of a search space in the guide's format.

    A whole number is asked for as a real one, and rounded (`suggested`): TPE has no steps to integrate over
    then, which takes half of its time.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    def one(spec: Mapping[str, Any]) -> Any:
        if spec["type"] == "categorical":
            return CategoricalDistribution(spec["choices"])
        if spec["type"] == "float":
            return FloatDistribution(**{k: v for k, v in spec.items() if k != "type"})
        half = spec.get("step", 1) / 2
        return FloatDistribution(spec["low"] - half, spec["high"] + half, log=spec.get("log", False))

    return {name: one(spec) for name, spec in space.items()}


def suggested(trial: optuna.Trial, space: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of a trial that was asked for with the distributions of a space."""

    def whole(value: float, low: int, high: int, step: int = 1) -> int:
        steps = round((value - low) / step)
        return low + step * min(max(steps, 0), (high - low) // step)

    return {
        name: whole(trial.params[name], **{k: v for k, v in spec.items() if k not in ("type", "log")})
        if spec["type"] == "int"
        else trial.params[name]
        for name, spec in space.items()
    }


def importance(study: optuna.Study) -> dict[str, float]:
    """Share of each parameter in how scores differ, by PED-ANOVA; none below `MEANINGFUL` different scores.

    fANOVA's takes forty times as long (0.3 s of fifty trials).
    """
    import optuna

    completed = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len({trial.value for trial in completed}) < MEANINGFUL:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}
