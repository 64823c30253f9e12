"""Hyperparameters: Optuna, fitted on train and scored on validation, as the problem type scores.

The best of many trials on one validation split is a flattering figure, the more so the smaller the split;
it chooses parameters, and the test split tells how good they are. The defaults are the first trial, so that
tuning never ends below them; the best parameters of similar studies come next. On a large table trials are
settled on samples of rows, and the best of them are fitted on all. Without a timeout the history is the same
from run to run, however many fits run at once, and whether or not the study was interrupted.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.errors import TuningError
from e2i_assets.modeling.selection.algorithms import Algorithm
from e2i_assets.modeling.selection.candidate import ModelCandidate
from e2i_assets.modeling.training.fitting import Matrices, fit_plain
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig
from e2i_assets.modeling.tuning.journal import StudyJournal
from e2i_assets.modeling.tuning.optuna_study import distributions, importance, quiet, suggested
from e2i_assets.modeling.tuning.rungs import FACTOR, promoted, rungs, work
from e2i_assets.modeling.tuning.trials import Fit, Fitted, LocalPool, TrialPool, note, score_of, steadiest
from e2i_assets.modeling.tuning.warm_start import (
    Pattern,
    ProblemProfile,
    WarmStart,
    profile,
    trials_sooner,
    warm_starts,
)

if TYPE_CHECKING:
    import optuna
    from sklearn.compose import ColumnTransformer

PROPOSED_TOGETHER = 4
"""Trials proposed together where fits are long enough to run side by side, if `n_jobs` does not say more."""


@dataclass(frozen=True)
class Progress:
    """Where a study is.

    Attributes:
        trial: that was just finished, as in `TunedParams.trials`.
        done, planned: trials; fewer than planned are made where time or budget ends.
        best_value: so far, on the rows that trials are scored on.
        seconds_left: estimated from the fits so far, those on all rows included.
    """

    trial: Mapping[str, Any]
    done: int
    planned: int
    best_value: float | None
    seconds_left: float

    def __str__(self) -> str:
        best = "none finished" if self.best_value is None else f"best {self.best_value:.4f}"
        return f"trial {self.done} of {self.planned}: {best}, about {self.seconds_left:.0f} s left"


@dataclass(frozen=True)
class TunedParams:
    """The outcome of a study.

    Attributes:
        best_params: the defaults with the best trial's parameters, and the boosting rounds that it kept.
        search_space: of the algorithm.
        metric: what trials are scored by on validation; more is better.
        best_trial, best_value: number and score, on all rows, of the best trial, the first of equals.
        chosen_trial, chosen_value, chosen_params: the same of the trial to train with, which is level with
            the best one (`trials.steadiest`); what `train_model` takes.
        default_value: the defaults' score on all rows; None where that fit failed.
        trials: number, state, params, value (a pruned one's last that was watched), rounds and error (the
            class of the exception of a failed one) of each trial, in order.
        finals: the same, and rows, of the fits of the best on more rows; none where all rows are one rung.
        rows: rows of train of each rung, smallest first.
        fits: work of all fits, in multiples of one fit of the defaults on all rows.
        importance: share of each parameter in what separates good trials from the others (PED-ANOVA), largest
            first; empty where there are too few.
        warm_start: the patterns that were tried first.
        trials_sooner: see `warm_start.trials_sooner`.
        profile: of the problem, for later studies.
        durations: seconds of each trial, in order; apart, because they differ from run to run.
        seed: of every fit; with it `train_model` makes the model of the chosen trial.
    """

    study_name: str
    algorithm: str
    search_space: Mapping[str, Mapping[str, Any]]
    metric: str
    best_params: Mapping[str, Any]
    best_trial: int
    best_value: float
    chosen_trial: int
    chosen_value: float
    chosen_params: Mapping[str, Any]
    default_value: float | None
    n_trials: int
    n_completed: int
    n_pruned: int
    n_failed: int
    trials: tuple[Mapping[str, Any], ...]
    finals: tuple[Mapping[str, Any], ...]
    rows: tuple[int, ...]
    fits: float
    importance: Mapping[str, float]
    warm_start: tuple[WarmStart, ...]
    trials_sooner: int | None
    profile: ProblemProfile
    durations: tuple[float, ...]
    seed: int = 42  # what earlier releases trained with, whatever the study's was

    def next_best(self, count: int) -> list[Mapping[str, Any]]:
        """The trials that were finished with the best scores after the best one's, best first."""
        others = [t for t in self.trials if t["state"] == "COMPLETE" and t["number"] != self.best_trial]
        return sorted(others, key=lambda trial: (-trial["value"], trial["number"]))[:count]

    @property
    def scored(self) -> Sequence[Mapping[str, Any]]:
        """The fits on all rows: what the best one was chosen from."""
        return [f for f in self.finals if f["rows"] == self.rows[-1]] if len(self.rows) > 1 else self.trials


def tune(
    candidate: ModelCandidate,
    preprocessor: ColumnTransformer,
    train: LabelledSplit,
    validation: LabelledSplit,
    config: OptunaConfig,
    *,
    study_name: str,
    patterns: Sequence[Pattern] = (),
    journal: StudyJournal | None = None,
    pool: TrialPool | None = None,
    on_trial: Callable[[Progress], None] | None = None,
    on_fit: Callable[[Fit, Fitted], None] | None = None,
) -> TunedParams:
    """Search the candidate's space; the study lives in memory.

    Args:
        preprocessor: fitted on train.
        train, validation: fitted on, and scored on.
        patterns: of earlier studies of this algorithm and problem type.
        journal: of this study, where it may have been interrupted.
        pool: where fits run; on the free cores of this machine where it is left out.
        on_trial: hears of every finished trial.
        on_fit: hears of every fit that was made: of a trial one for each rung of rows that it came to.

    Raises:
        TuningError: no trial was finished: each failed, or the time was over.
    """
    here = profile(train, candidate.algorithm)
    starts = warm_starts(
        here, patterns, train.problem.algorithm(candidate.algorithm), config.warm_start,
        config.optimization.n_trials,
    )  # fmt: skip
    levels = rungs(transform(preprocessor, train, validation), train.problem, config.sampler.seed)
    with quiet():
        study = _Study(
            study_name, train, candidate.algorithm, config, levels, starts,
            journal or StudyJournal(), pool or LocalPool(), on_trial or (lambda _: None),
            on_fit or (lambda _, came: None),
        )  # fmt: skip
        study.search()
        study.promote()
        return study.outcome(here)


class _Study:
    """One study while it runs: proposes trials, has them fitted, and counts what that takes."""

    def __init__(
        self,
        name: str,
        train: LabelledSplit,
        algorithm: str,
        config: OptunaConfig,
        levels: Sequence[Matrices],
        starts: Sequence[WarmStart],
        journal: StudyJournal,
        pool: TrialPool,
        on_trial: Callable[[Progress], None],
        on_fit: Callable[[Fit, Fitted], None],
    ) -> None:
        import optuna

        self.problem = train.problem
        self.algorithm: Algorithm = self.problem.algorithm(algorithm)
        self.config, self.levels, self.starts = config, levels, starts
        self.journal, self.pool, self.on_trial, self.on_fit = journal, pool, on_trial, on_fit
        self.fitted: dict[tuple[int, int], Fitted] = {}  # by trial and rung
        self.params: list[dict[str, Any]] = []
        self.started = time.monotonic()
        self.study = optuna.create_study(
            study_name=name,
            direction="maximize",
            sampler=config.sampler.build(),
            pruner=config.pruner.build(),
        )
        self.distributions = distributions(self.algorithm.search_space)
        self.study.enqueue_trial({n: self.algorithm.defaults[n] for n in self.algorithm.search_space})
        for params in {start.trial: start.params for start in starts if start.trial}.values():
            self.study.enqueue_trial(dict(params))

    @property
    def last(self) -> int:
        """The rung of all rows."""
        return len(self.levels) - 1

    def search(self) -> None:
        """Propose and fit trials on the first rung, until there are enough, or time or budget end.

        The defaults are fitted on all rows at once: they are the unit of the budget.
        """
        limits = self.config.optimization
        together = max(limits.n_jobs, PROPOSED_TOGETHER if self.last else 1)
        while (made := len(self.params)) < limits.n_trials and not (made and self._over(limits, together)):
            self._batch(min(together, limits.n_trials - made) if made else 1)
            if not made and self.last:
                self._run([self._fit(0, self.last)])

    def promote(self) -> None:
        """Fit the best of each rung on the next one."""
        for level in range(1, len(self.levels)):
            chosen = self._ranked(level - 1)[: promoted(level, len(self.levels))]
            due = [self._fit(number, level) for number in chosen if (number, level) not in self.fitted]
            timeout = self.config.optimization.timeout
            if timeout is None or time.monotonic() - self.started < timeout:
                self._run(due)

    def outcome(self, here: ProblemProfile) -> TunedParams:
        """What the study found."""
        name, ranked = self.study.study_name, self._ranked(self.last)
        trials = tuple(self._facts(number, 0) for number in range(len(self.params)))
        states = [trial["state"] for trial in trials]
        if not ranked:
            errors = sorted({f.error for f in self.fitted.values() if f.error})
            failed = f"{states.count('FAIL')} of {len(trials)} failed ({', '.join(errors)})" if errors else ""
            raise TuningError(
                f"{name}: no trial of {self.algorithm.name} was finished" + (f": {failed}" if failed else ""),
            )
        chosen = steadiest({number: self.fitted[number, self.last] for number in ranked})
        default = self.fitted.get((0, self.last))
        return TunedParams(
            study_name=name,
            algorithm=self.algorithm.name,
            search_space=self.algorithm.search_space,
            metric=self.problem.scorer,
            best_params=self._params(ranked[0]),
            best_trial=ranked[0],
            best_value=score_of(self.fitted[ranked[0], self.last]),
            chosen_trial=chosen,
            chosen_value=score_of(self.fitted[chosen, self.last]),
            chosen_params=self._params(chosen),
            default_value=default.value if default and default.state == "COMPLETE" else None,
            n_trials=len(trials),
            n_completed=states.count("COMPLETE"),
            n_pruned=states.count("PRUNED"),
            n_failed=states.count("FAIL"),
            trials=trials,
            finals=tuple(
                self._facts(number, level) | {"rows": self._rows(level)}
                for number, level in sorted(self.fitted, key=lambda key: (key[1], key[0]))
                if level
            ),
            rows=tuple(self._rows(level) for level in range(len(self.levels))),
            fits=round(self._spent(), 3),
            importance=importance(self.study),
            warm_start=tuple(start for start in self.starts if start.trial < len(trials)),
            trials_sooner=trials_sooner(
                self.starts, [t["value"] if t["state"] == "COMPLETE" else None for t in trials]
            ),
            profile=here,
            durations=tuple(self.fitted[number, 0].seconds for number in range(len(trials))),
            seed=self.config.sampler.seed,
        )

    def _batch(self, size: int) -> None:
        """Propose trials, fit them, and tell the sampler in order."""
        import optuna

        trials = [self.study.ask(self.distributions) for _ in range(size)]
        for trial in trials:
            self.params.append({**self.algorithm.defaults, **suggested(trial, self.algorithm.search_space)})
        fits = [self._fit(trial.number, 0) for trial in trials]
        if self.algorithm.fit is not fit_plain and self.config.pruner.name != "none":
            fits = [replace(fit, study=own) for fit, own in zip(fits, self._copies(size), strict=True)]
        fitted = self._run(fits)
        for trial, came in zip(trials, fitted, strict=True):
            for step, score in came.reports:
                trial.report(score, step)
            note(trial, came.pruner)
            state = optuna.trial.TrialState[came.state]
            self.study.tell(trial, came.value if came.state == "COMPLETE" else None, state)
            self.on_trial(self._progress(trial.number))

    def _copies(self, size: int) -> list[optuna.Study]:
        """The study for each fit of a batch: a pruner notes in it what others of the batch must not see."""
        if size == 1:
            return [self.study]
        snapshot = pickle.dumps(self.study)
        return [pickle.loads(snapshot) for _ in range(size)]

    def _fit(self, number: int, level: int) -> Fit:
        return Fit(
            number=number,
            level=level,
            algorithm=self.algorithm.name,
            problem=self.problem,
            params=self.params[number],
            seed=self.config.sampler.seed,
            sampled=level < self.last,
        )

    def _run(self, fits: Sequence[Fit]) -> list[Fitted]:
        known = {fit.number: self.journal.fitted(fit) for fit in fits}
        due = [fit for fit in fits if known[fit.number] is None]
        for fit, came in zip(due, self.pool.run(due, self.levels) if due else [], strict=True):
            known[fit.number] = came
            self.journal.write(fit, came)
            self.on_fit(fit, came)
        fitted = [came for came in known.values() if came is not None]
        self.fitted |= {(fit.number, fit.level): came for fit, came in zip(fits, fitted, strict=True)}
        return fitted

    def _params(self, number: int) -> dict[str, Any]:
        """All parameters of a trial, with the boosting rounds that its fit on all rows kept."""
        rounds = self.fitted[number, self.last].rounds
        return self.params[number] | ({} if rounds is None else {"n_estimators": rounds})

    def _ranked(self, level: int) -> list[int]:
        """Numbers of the trials that were finished on a rung, best first, the first of equals before."""
        values = {
            number: score_of(came)
            for (number, at), came in self.fitted.items()
            if at == level and came.state == "COMPLETE"
        }
        return sorted(values, key=lambda number: (-values[number], number))

    def _rows(self, level: int) -> int:
        return len(self.levels[level].y_train)

    def _facts(self, number: int, level: int) -> dict[str, Any]:
        came = self.fitted[number, level]
        facts = {name: getattr(came, name) for name in ("state", "value", "rounds", "error")}
        params = {name: self.params[number][name] for name in self.algorithm.search_space}
        return {"number": number, "params": params, **facts}

    def _unit(self) -> float:
        """Work of one fit of the defaults on all rows; where it failed, of the first other, as if on all."""
        fits = {(0, self.last): self.fitted[0, self.last]} if (0, self.last) in self.fitted else {}
        for (_, level), came in (fits | self.fitted).items():
            if came.state == "COMPLETE":
                return came.work * self._rows(self.last) / self._rows(level)
        return float(work(self._rows(self.last), None))

    def _spent(self) -> float:
        return sum(came.work for came in self.fitted.values()) / self._unit()

    def _ahead(self) -> float:
        """Fits on more rows that are still to come, in fits of the defaults on all rows."""
        return float(
            sum(
                promoted(level, self.last + 1) / FACTOR ** (self.last - level)
                for level in range(1, self.last + 1)
            )
        )

    def _over(self, limits: OptimizationConfig, together: int) -> bool:
        """Whether what is still to come would not fit in after another batch."""
        each = sum(self.fitted[n, 0].work for n in range(len(self.params))) / self._unit() / len(self.params)
        spent = self._spent()
        if limits.budget_fits is not None and spent + each * together + self._ahead() > limits.budget_fits:
            return True
        elapsed = time.monotonic() - self.started
        return limits.timeout is not None and elapsed * (1 + self._ahead() / spent) >= limits.timeout

    def _progress(self, number: int) -> Progress:
        done, planned = number + 1, self.config.optimization.n_trials
        seconds = [self.fitted[n, 0].seconds for n in range(done)]
        full = self.fitted.get((0, self.last), self.fitted[0, 0]).seconds
        left = sum(seconds) / done * (planned - done) + self._ahead() * full
        ranked = [n for n in self._ranked(0) if n <= number]
        best = score_of(self.fitted[ranked[0], 0]) if ranked else None
        return Progress(self._facts(number, 0), done, planned, best, left)
