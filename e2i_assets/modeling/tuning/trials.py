"""One fit of a study, and where fits run: side by side on free cores here, or on the workers of a cluster.

A fit sees its study as it stood when its batch was proposed, so that what is pruned, and with it the history,
depends neither on how many fits run at once nor on which is done first.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from e2i_assets.cluster import Cluster, losses
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.training.fitting import REPORT_EVERY, Matrices
from e2i_assets.modeling.tuning.rungs import work

if TYPE_CHECKING:
    import optuna

LEVEL = 0.5
"""Standard errors of the best score within which another one is level with it."""
ASKED_EVERY = 2
"""Steps after which the pruner is asked: its median takes longer than the five rounds of a small fit."""
WORTH_A_THREAD = 500_000
"""Cells of train from which on fits run side by side: smaller ones spend their time in Python."""


@dataclass(frozen=True)
class Fit:
    """What one fit needs besides the data; it travels to other processes.

    Attributes:
        number: of its trial.
        level: the rung of rows it is made on.
        params: all parameters of the estimator.
        study: as it stood when the batch was proposed, which no other fit of it sees; None where nothing is
            given up early.
        sampled: whether it is made on a sample of the rows, to rank it.
    """

    number: int
    level: int
    algorithm: str
    problem: Problem
    params: Mapping[str, Any]
    seed: int
    study: optuna.Study | None = None
    sampled: bool = False


@dataclass(frozen=True)
class Fitted:
    """What came of a fit.

    Attributes:
        value: score on validation; of a pruned one the last that was watched.
        loss, noise: see `Problem.loss` and `Problem.noise`, of what was completed.
        reports: (step, score) of each reported step.
        rounds: of boosting that were kept, or after which it was given up.
        error: class of the exception that it failed with; its text may quote data, and is not kept.
        work: see `rungs.work`.
        started: seconds since the epoch.
        pruner: what the pruner noted of it.
    """

    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    value: float | None = None
    loss: float | None = None
    noise: float = 0.0
    reports: tuple[tuple[int, float], ...] = ()
    rounds: int | None = None
    error: str | None = None
    work: int = 0
    started: float = 0.0
    seconds: float = 0.0
    pruner: Mapping[str, float] = field(default_factory=dict)


def steadiest(fitted: Mapping[int, Fitted]) -> int:
    """Of the completed fits that are level with the best one, the number of the one with the least loss.

    Level is what is within half a standard error of its score. The best of many scores on few rows is largely
    the luckiest: with its parameters, models of real tables were no better on other rows than with the
    defaults, and with these they are (`benchmarks/accuracy.py`).

    Args:
        fitted: by number, at least one; all were made on the same rows.
    """
    values = {number: score_of(came) for number, came in fitted.items()}
    best = max(values, key=lambda number: (values[number], -number))
    level = [n for n, value in values.items() if value >= values[best] - LEVEL * fitted[best].noise]
    losses = {n: fitted[n].loss for n in level}
    return min(level, key=lambda n: (np.inf if losses[n] is None else losses[n], -values[n], n))


def score_of(fitted: Fitted) -> float:
    """The score of what was completed."""
    assert fitted.value is not None
    return fitted.value


class TrialPool(Protocol):
    """Where fits run."""

    def run(self, fits: Sequence[Fit], levels: Sequence[Matrices]) -> list[Fitted]:
        """What came of each, in their order."""


def evaluate(fit: Fit, data: Matrices) -> Fitted:
    """Fit on train and score on validation.

    An exception of a library is the fit's failure, by its class; so is a score that is no number.
    """
    import optuna

    began, started = time.time(), time.perf_counter()
    reports: dict[int, float] = {}

    def report(boosting_round: int, score: float) -> None:
        step = boosting_round // REPORT_EVERY
        reports[step] = float(score)
        if step % ASKED_EVERY == 0 and _given_up(fit, reports):
            raise optuna.TrialPruned

    def outcome(
        state: Any, rounds: int | None, value: float | None, error: str | None = None, **more: float
    ) -> Fitted:
        return Fitted(
            state=state,
            value=value,
            **more,
            reports=tuple(reports.items()),
            rounds=rounds,
            error=error,
            work=work(len(data.y_train), rounds, stopped_early=state == "COMPLETE"),
            started=began,
            seconds=time.perf_counter() - started,
            pruner=_noted(fit),
        )

    algorithm = fit.problem.algorithm(fit.algorithm)
    try:
        coarse = algorithm.coarse if fit.sampled else {}
        estimator = algorithm.build({**fit.params, **coarse}, fit.seed)
        # The score of every round costs an eighth of a fit, and is for the pruner alone.
        rounds = algorithm.fit(estimator, data, report if fit.study else None)
        prediction = fit.problem.predict(estimator, data.X_validation)
        value = fit.problem.score(data.y_validation, prediction)
    except optuna.TrialPruned:
        step, score = list(reports.items())[-1]
        return outcome("PRUNED", step * REPORT_EVERY, score)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the trial has failed, and says so
        return outcome("FAIL", None, None, type(error).__name__)
    if not np.isfinite(value):
        return outcome("FAIL", rounds, None, "score is not finite")
    return outcome(
        "COMPLETE",
        rounds,
        float(value),
        loss=fit.problem.loss(data.y_validation, prediction),
        noise=fit.problem.noise(data.y_validation, prediction),
    )


def _given_up(fit: Fit, reports: dict[int, float]) -> bool:
    """Whether the study's pruner gives a fit up by what it has reported.

    The pruner is asked itself, and told the best report and the last: Optuna's trial copies itself at each
    report, and a pruner goes through all of them, which takes as long again and comes to the same.
    """
    assert fit.study is not None
    trial = copy.copy(fit.study.get_trials(deepcopy=False)[fit.number])
    trial.intermediate_values = {
        step: reports[step] for step in (max(reports, key=reports.__getitem__), max(reports))
    }
    return fit.study.pruner.prune(fit.study, trial)


def _noted(fit: Fit) -> dict[str, float]:
    if fit.study is None:
        return {}
    attributes = fit.study.get_trials(deepcopy=False)[fit.number].system_attrs
    return {name: value for name, value in attributes.items() if name.startswith("completed_rung_")}


def note(trial: optuna.Trial, pruner: Mapping[str, float]) -> None:
    """Write into a trial of the study what the pruner noted of it in a copy (`Fitted.pruner`).

    Tried with optuna 5.0.0, which has no public way to write it.
    """
    for name, value in pruner.items():
        trial.storage.set_trial_system_attr(trial._trial_id, name, value)


def free_cores() -> int:
    """Cores that nobody uses at this moment, this process's own among them."""
    import joblib
    import psutil

    idle = psutil.cpu_times_percent(interval=0.1).idle / 100
    # Of a container, joblib knows the quota and the cores that it may use.
    return max(1, min(joblib.cpu_count(), round(idle * (psutil.cpu_count() or 1))))


class LocalPool:
    """Threads of this process: the libraries leave Python while they fit."""

    def run(self, fits: Sequence[Fit], levels: Sequence[Matrices]) -> list[Fitted]:
        """See `TrialPool`."""
        large = sum(levels[fit.level].X_train.size for fit in fits) >= WORTH_A_THREAD * len(fits)
        workers = min(len(fits), free_cores()) if large and len(fits) > 1 else 1
        if workers == 1:
            return [evaluate(fit, levels[fit.level]) for fit in fits]
        with ThreadPoolExecutor(workers) as threads:
            return list(threads.map(evaluate, fits, [levels[fit.level] for fit in fits]))


class ClusterPool:
    """The workers of a Dask cluster; each gets the rows once."""

    def __init__(self, cluster: Cluster) -> None:
        self._client = cluster.client
        self._rows: dict[int, Any] = {}

    def run(self, fits: Sequence[Fit], levels: Sequence[Matrices]) -> list[Fitted]:
        """See `TrialPool`.

        Raises:
            ClusterLost: see `cluster.losses`.
        """
        with losses():
            for level in {fit.level for fit in fits} - set(self._rows):
                self._rows[level] = self._client.scatter(levels[level], broadcast=True, hash=False)
            made = [self._client.submit(evaluate, fit, self._rows[fit.level], pure=False) for fit in fits]
            return self._client.gather(made)
