"""Attempts to refute an estimate: the same estimator where the answer is known, or where it must not change.

Each has its own p-value, that of what was seen were all well, and its own verdict. They are repeated on rows,
seeds and folds of their own, in parallel, and are the same for any number of threads. To be affordable each
refits but those models of the outcome and of the treatment that weigh most in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from e2i_assets.causal.calibration import Calibration, calibrate
from e2i_assets.causal.data import CausalData, prepare
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.estimands import Scores, as_effect, difference, unadjusted
from e2i_assets.causal.nuisance import Nuisances, cross_fit, fold_numbers
from e2i_assets.causal.overlap import refusal_of, too_few
from e2i_assets.causal.report import EffectReport, Estimand

if TYPE_CHECKING:
    from e2i_assets.cluster import Cluster

Verdict = Literal["passed", "warning", "failed"]

REPETITIONS, LEAST_REPETITIONS = 40, 5
FOLDS = 3
SUBSET = 0.8
WARNED, FAILED = 0.05, 0.01
"""Below these p-values a refutation warns, and fails."""
MISSED = 0.05
"""How often a 95 % interval may miss the truth."""
WIDER = 1.25
"""A bootstrap may deviate by this much more than the standard error: it draws the folds anew as well."""


@dataclass(frozen=True)
class Refutation:
    """One attempt.

    Attributes:
        name: `placebo_treatment`, `random_common_cause`, `data_subset`, `bootstrap`, `dummy_outcome`,
            `negative_control_outcome` or `negative_control_exposure`.
        column: of a negative control.
        expected, seen: what would be seen were all well, and what was, on the effect's scale or as
            `statistic` says.
        p: of something as far off as this, were all well.
    """

    name: str
    statistic: str
    expected: float
    seen: float
    repetitions: int
    p: float
    verdict: Verdict
    column: str = ""


@dataclass(frozen=True)
class RefutationReport:
    """All attempts on one estimate; the worst of them is the verdict.

    `calibration` is there where negative controls are enough: what error they show, and the p-value of the
    estimate with it.
    """

    treatment: str
    outcome: str
    verdict: Verdict
    refutations: tuple[Refutation, ...]
    calibration: Calibration | None
    seed: int

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of those that failed."""
        return tuple(r.name for r in self.refutations if r.verdict == "failed")


def refute(
    frame: pd.DataFrame,
    report: EffectReport,
    *,
    negative_outcomes: Sequence[str] = (),
    negative_exposures: Sequence[str] = (),
    repetitions: int = REPETITIONS,
    jobs: int = -1,
    cluster: Cluster | None = None,
) -> RefutationReport:
    """Try to refute an estimate.

    Args:
        frame: the rows that the report is of.
        negative_outcomes: columns that the treatment cannot have changed.
        negative_exposures: columns that cannot have changed the outcome.
        repetitions: of each attempt but the controls; five at least.
        jobs: threads; -1 for all cores. The result does not depend on it.
        cluster: whose workers repeat the attempts instead; the result is the same.

    Raises:
        CausalDataError: the report has no estimate or is of other rows, or a named column cannot be used:
            a negative control whose own effect these rows cannot tell is no evidence.
        ClusterLost: see `Cluster.map`.
    """
    if report.effect is None:
        raise CausalDataError(
            f"effect of {report.treatment} on {report.outcome} is not identified: no estimate to refute",
            "Ask for an estimand that `offers` names, or for other rows.",
        )
    if repetitions < LEAST_REPETITIONS:
        raise CausalDataError(
            f"{repetitions} repetitions tell nothing of how estimates vary",
            f"Give {LEAST_REPETITIONS} or more; {REPETITIONS} is the default.",
        )
    _refuse_controls(report, negative_outcomes, negative_exposures)
    data, _ = _prepared(frame, report, report.treatment, report.outcome, report.covariates).sorted()
    _refuse_other_rows(data, report)
    trial = _Trial(data, report.population, _models(report), report.seed)
    controls = _controls(frame, report, trial, negative_outcomes, negative_exposures)
    base = trial.nuisances(data)
    error = difference(data, base, 0, report.population).standard_error
    whole = difference(data, base, 0, report.population).estimate
    draws = trial.repeated(base, repetitions, cluster.map if cluster else partial(_on_threads, jobs))
    tests = [
        _misses("placebo_treatment", draws["placebo_treatment"], 0.0),
        _misses("dummy_outcome", draws["dummy_outcome"], 0.0),
        _misses("data_subset", draws["data_subset"], whole),
        _unmoved(draws["random_common_cause"], whole, error),
        _as_wide(draws["bootstrap"], error),
    ]
    tests += [_control(name, column, scores) for name, column, scores, _ in controls]
    calibration = calibrate(
        report.effect.estimate / float(np.nanstd(data.y)),
        report.effect.standard_error / float(np.nanstd(data.y)),
        [(scores.estimate / scale, scores.standard_error / scale) for _, _, scores, scale in controls],
    )
    return RefutationReport(
        treatment=report.treatment,
        outcome=report.outcome,
        verdict=max((test.verdict for test in tests), key=("passed", "warning", "failed").index),
        refutations=tuple(tests),
        calibration=calibration,
        seed=report.seed,
    )


def _refuse_controls(report: EffectReport, outcomes: Sequence[str], exposures: Sequence[str]) -> None:
    """Controls that say what is known already, or what the covariates are there to take off."""
    if isinstance(outcomes, str) or isinstance(exposures, str):
        raise CausalDataError("negative controls are a text, not a list", "Write `[name]`.")
    for names in (outcomes, exposures):
        if twice := sorted({name for name in names if list(names).count(name) > 1}):
            raise CausalDataError(
                f"negative control named twice: {', '.join(twice)}",
                "Name each once: the same rows do not show an error twice.",
            )
    parts = {
        report.treatment: "the treatment",
        report.outcome: "the outcome",
        report.clusters: "the clusters",
    }
    wrong = [f"{name} is {parts[name]}" for name in (*outcomes, *exposures) if name in parts]
    wrong += [f"{name} is a covariate" for name in outcomes if name in report.covariates]
    if wrong:
        raise CausalDataError(
            f"no negative control: {', '.join(wrong)}",
            "Name columns that have no part in the question; an exposure may be a covariate.",
        )


def _refuse_other_rows(data: CausalData, report: EffectReport) -> None:
    """Rows of other treatments or outcomes than those that the report is of."""
    plain, naive = unadjusted(data), report.naive
    if len(data.t) != report.rows:
        what = f"the frame has {len(data.t)} rows of {report.treatment}, the report is of {report.rows}"
    elif naive is not None and not np.isclose(plain.estimate, naive.estimate, rtol=1e-6, atol=0):
        what = f"{report.treatment} or {report.outcome} of the frame is not that of the report"
    else:
        return
    raise CausalDataError(what, "Give the rows that the effect was estimated on.")


def _prepared(
    frame: pd.DataFrame, report: EffectReport, treatment: str, outcome: str, covariates: Sequence[str]
) -> CausalData:
    arms = {}
    if treatment == report.treatment and report.treatment_kind == "binary":
        values = {str(value): value for value in frame[treatment].unique()}
        if {report.arm, report.control} <= set(values):
            arms = {"target": values[report.arm], "control": values[report.control]}
    return prepare(
        frame, treatment=treatment, outcome=outcome, covariates=covariates,
        clusters=report.clusters or None, **arms,
    )  # fmt: skip


def _models(report: EffectReport) -> tuple[str, ...]:
    """Of each nuisance the model that weighs most; a line besides, which costs nothing."""
    return tuple(
        sorted({max(fit.weights, key=fit.weights.__getitem__) for fit in report.nuisances} | {"linear"})
    )


Draw = Callable[[CausalData, np.random.Generator, Nuisances], tuple[CausalData, np.ndarray | None]]
"""How an attempt changes the rows, and the folds where these are not to be drawn; given models of the rows as
they are."""
Repetition = tuple[str, int, int]
"""Name of an attempt, its place among them and the number of the repetition: the last two are its seed."""
Spread = Callable[[Callable[[Repetition], Scores], Sequence[Repetition]], list[Scores]]


def _placebo(data: CausalData, rng: np.random.Generator, base: Nuisances) -> tuple[CausalData, None]:
    return replace(data, t=rng.permutation(data.t)), None


def _common_cause(
    data: CausalData, rng: np.random.Generator, base: Nuisances
) -> tuple[CausalData, np.ndarray]:
    cause = rng.normal(size=len(data.t))
    return replace(data, x=np.column_stack([data.x, cause]), columns=(*data.columns, "")), base.folds[0]


def _subset(data: CausalData, rng: np.random.Generator, base: Nuisances) -> tuple[CausalData, None]:
    return data.of(np.sort(rng.permutation(len(data.t))[: int(SUBSET * len(data.t))])), None


def _bootstrap(data: CausalData, rng: np.random.Generator, base: Nuisances) -> tuple[CausalData, np.ndarray]:
    rows = _drawn_anew(data, rng)
    # A row drawn twice stays in one fold: no model may be asked of what it has seen.
    return data.of(rows), fold_numbers(data, FOLDS, int(rng.integers(2**31)))[rows]


def _dummy_outcome(data: CausalData, rng: np.random.Generator, base: Nuisances) -> tuple[CausalData, None]:
    return replace(data, y=_without_effect(data, base, rng)), None


ATTEMPTS: Mapping[str, Draw] = {
    "placebo_treatment": _placebo, "random_common_cause": _common_cause, "data_subset": _subset,
    "bootstrap": _bootstrap, "dummy_outcome": _dummy_outcome,
}  # fmt: skip
"""Attempts on every estimate; negative controls come on top where they are named."""


def _drawn_anew(data: CausalData, rng: np.random.Generator) -> np.ndarray:
    """Positions of as many rows, or of all rows of as many clusters, drawn with replacement."""
    if data.clusters is None:
        return np.sort(rng.integers(0, len(data.t), len(data.t)))
    names = np.unique(data.clusters)
    drawn = rng.choice(names, len(names))
    return np.sort(np.concatenate([np.flatnonzero(data.clusters == name) for name in drawn]))


def _without_effect(data: CausalData, base: Nuisances, rng: np.random.Generator) -> np.ndarray:
    """Outcomes as the covariates have them, and as confounded, of a treatment that does nothing."""
    if data.treatment_kind == "binary":
        mean = base.control[0]
        fitted = np.where(data.t == 1, base.treated[0], mean)
    else:
        mean = fitted = base.outcome[0]
    if data.outcome_kind == "binary":
        y = (rng.random(len(mean)) < mean).astype(float)
    elif data.outcome_kind == "count":
        y = rng.poisson(np.clip(mean, 0, None)).astype(float)
    else:
        y = mean + rng.choice((data.y - fitted)[data.known], len(mean))
    return np.where(data.known, y, np.nan)


class _Trial:
    """The estimator of a report, made cheap enough to be repeated."""

    def __init__(self, data: CausalData, estimand: Estimand, models: tuple[str, ...], seed: int) -> None:
        self.data, self.estimand, self.models, self.seed = data, estimand, models, seed

    def nuisances(self, data: CausalData, seed: int = 0, number: np.ndarray | None = None) -> Nuisances:
        return cross_fit(
            data, folds=FOLDS, repeats=1, seed=self.seed + seed, names=self.models, number=number
        )

    def scores(self, data: CausalData, seed: int = 0, number: np.ndarray | None = None) -> Scores:
        return difference(data, self.nuisances(data, seed, number), 0, self.estimand)

    def repeated(self, base: Nuisances, repetitions: int, spread: Spread) -> dict[str, list[Scores]]:
        """Each draw so many times, wherever they are made."""
        tasks = [
            (name, position, repetition)
            for position, name in enumerate(ATTEMPTS)
            for repetition in range(repetitions)
        ]
        done = spread(partial(self._one, base), tasks)
        return {
            name: [scores for (task, _, _), scores in zip(tasks, done, strict=True) if task == name]
            for name in ATTEMPTS
        }

    def _one(self, base: Nuisances, task: Repetition) -> Scores:
        name, position, repetition = task
        rng = np.random.default_rng([self.seed, position, repetition])
        data, number = ATTEMPTS[name](self.data, rng, base)
        return self.scores(data, 1 + repetition if number is None else 0, number)


def _on_threads(
    jobs: int, function: Callable[[Repetition], Scores], tasks: Sequence[Repetition]
) -> list[Scores]:
    from joblib import Parallel, delayed

    return Parallel(n_jobs=jobs, prefer="threads")(delayed(function)(task) for task in tasks)


def _verdict(p: float) -> Verdict:
    if p >= WARNED:
        return "passed"
    return "warning" if p >= FAILED else "failed"  # as does a p-value that is none


def _misses(name: str, draws: list[Scores], truth: float) -> Refutation:
    """Whether the intervals miss what is true no more often than they may."""
    from scipy.stats import binomtest

    effects = [as_effect(s.estimate, s.standard_error, len(s.influence)) for s in draws]
    missed = sum(not effect.low <= truth <= effect.high for effect in effects)
    p = float(binomtest(missed, len(draws), MISSED, alternative="greater").pvalue)
    return Refutation(
        name=name, statistic=f"share of intervals without {truth:.4g}", expected=MISSED,
        seen=missed / len(draws), repetitions=len(draws), p=p, verdict=_verdict(p),
    )  # fmt: skip


def _unmoved(draws: list[Scores], whole: float, error: float) -> Refutation:
    """Whether a covariate that means nothing leaves the estimate where it is, by its standard error."""
    from scipy.stats import norm

    mean = float(np.mean([s.estimate for s in draws]))
    p = float(2 * norm.sf(abs(mean - whole) / error))
    return Refutation(
        name="random_common_cause", statistic="mean estimate", expected=whole, seen=mean,
        repetitions=len(draws), p=p, verdict=_verdict(p),
    )  # fmt: skip


def _as_wide(draws: list[Scores], error: float) -> Refutation:
    """Whether estimates of rows drawn anew vary no more than the standard error says."""
    from scipy.stats import chi2

    deviation = float(np.std([s.estimate for s in draws], ddof=1))
    freedom = len(draws) - 1
    p = float(chi2.sf(freedom * (deviation / (WIDER * error)) ** 2, freedom))
    return Refutation(
        name="bootstrap", statistic="deviation of the estimates", expected=error, seen=deviation,
        repetitions=len(draws), p=p, verdict=_verdict(p),
    )  # fmt: skip


def _control(name: str, column: str, scores: Scores) -> Refutation:
    """Whether no effect is found where there can be none."""
    effect = as_effect(scores.estimate, scores.standard_error, len(scores.influence))
    return Refutation(
        name=name, statistic="estimate", expected=0.0, seen=effect.estimate, repetitions=1, p=effect.p,
        verdict=_verdict(effect.p), column=column,
    )  # fmt: skip


def _controls(
    frame: pd.DataFrame,
    report: EffectReport,
    trial: _Trial,
    outcomes: Sequence[str],
    exposures: Sequence[str],
) -> list[tuple[str, str, Scores, float]]:
    """Kind, column, scores and deviation of the outcome of each negative control.

    An exposure is adjusted for the treatment too, which does change the outcome.
    """
    asked = [("negative_control_outcome", c, report.treatment, c, report.covariates) for c in outcomes]
    asked += [
        ("negative_control_exposure", c, c, report.outcome, (*report.covariates, report.treatment))
        for c in exposures
    ]
    controls = []
    for name, column, treatment, outcome, covariates in asked:
        data = _prepared(frame, report, treatment, outcome, [c for c in covariates if c != column])
        estimand = trial.estimand if data.treatment_kind == "binary" else "ate"
        if few := too_few(data):
            raise _tells_nothing(column, few[1])
        nuisances = trial.nuisances(data)
        if refusal := refusal_of(data, nuisances, estimand):
            raise _tells_nothing(column, refusal[1])
        controls.append((name, column, difference(data, nuisances, 0, estimand), float(np.nanstd(data.y))))
    return controls


def _tells_nothing(column: str, why: str) -> CausalDataError:
    return CausalDataError(
        f"negative control {column} can show nothing: {why}",
        "Name a control that has rows of both arms wherever the covariates are, or leave it out.",
    )
