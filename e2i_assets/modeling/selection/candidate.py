"""Which algorithm a question gets: filtered by what it must meet, ranked, then decided by measurement.

The ranking only picks who is tried. Finalists are compared by the cross-validated score of their problem
type on the training split (`selection.comparison`); one that is ahead by more than the noise of the
comparison wins, and among those within the noise the simplest and fastest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import NoCandidateError
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.scope import Selection
from e2i_assets.modeling.selection.algorithms import Algorithm
from e2i_assets.modeling.selection.catalogue import CATALOGUE, INTERPRETABLE, Profile
from e2i_assets.modeling.selection.comparison import (
    BENCHMARK_ROWS,
    Finalist,
    Question,
    cross_validate,
    divided_again,
    finalists_of,
)
from e2i_assets.modeling.selection.measuring import Measurement

FINALISTS = 3
"""So many are compared on more rows than `CHEAP_ROWS`; on fewer, everyone who meets the scope. A fourth
would be a forest: on 20,000 rows × 100 features it takes five times as long as these three together.
"""
CHEAP_ROWS = 5_000
PRIOR_RUNS = 5
"""So many evaluations weigh as much as what the catalogue says of success."""


class Record(NamedTuple):
    """Of an algorithm's earlier evaluations on such problems, how many met their criteria."""

    met: int
    evaluated: int


@dataclass(frozen=True)
class ModelCandidate:
    """The chosen algorithm, and why.

    Attributes:
        metric: what the finalists are compared by.
        finalists: what was compared, best first.
        search_space, defaults: of the chosen algorithm.
        rationale: in words, for a person.
        alternatives: algorithm to the reason why it was not chosen; everyone but the chosen.
        measured: what each algorithm that was tried costs here. Figures differ from run to run, so they make
            no candidate another one, and an artifact is without them.
    """

    scope: str
    metric: str
    algorithm: str
    family: str
    selection_score: float
    finalists: tuple[Finalist, ...]
    search_space: Mapping[str, Mapping[str, Any]]
    defaults: Mapping[str, Any]
    rationale: str
    alternatives: Mapping[str, str]
    n_rows: int
    measured: Mapping[str, Measurement] = field(default_factory=dict, compare=False)

    @property
    def finalist(self) -> Finalist:
        """The finalist that was chosen."""
        return next(f for f in self.finalists if f.algorithm == self.algorithm)


def select_candidate(
    question: Question,
    train: LabelledSplit,
    *,
    features: Sequence[Feature],
    seed: int,
    history: Mapping[str, Record] | None = None,
) -> ModelCandidate:
    """Choose an algorithm for a question from its training split alone.

    By the guide's six steps: filter by problem type, by constraints, by preferences and by interpretability,
    rank, and compare by cross-validation. What a constraint is about is measured on the models that were
    fitted for the comparison; where they all break one, those ranked next are tried.

    Args:
        question: states problem type, constraints and preferences.
        train: the training split; validation and test are not needed and not asked for.
        features: columns of `train.X` to use.
        seed: of folds and estimators; with it the choice is reproducible.
        history: of earlier evaluations, by algorithm.

    Raises:
        NoCandidateError: nothing meets the question; there is no fallback. Each filter says what it removed.
        TrainingDataError: too few rows to compare algorithms on.
    """
    eligible, removed = _eligible(question)
    scores = {a.name: ranking_score(a.profile, question, history) for a in eligible}
    ranked = sorted(eligible, key=lambda a: (-scores[a.name], a.name))
    known, at_a_time = question.problem.algorithms, FINALISTS if len(train.y) > CHEAP_ROWS else len(ranked)
    measured: dict[str, Measurement] = {}
    finalists: list[Finalist] = []
    while ranked and not finalists:
        tried, ranked = ranked[:at_a_time], ranked[at_a_time:]
        folds = cross_validate(question, tried, train, features, seed)
        measured |= folds.measured
        broken = {
            name: broken_constraints(folds.measured[name], question.selection) for name in folds.measured
        }
        removed |= {name: ", ".join(rules) for name, rules in broken.items() if rules}
        finalists = finalists_of(folds, [a for a in tried if not broken[a.name]], scores, question.problem)
    if not finalists:
        raise _nobody(question, removed, measured)

    if len(train.y) <= CHEAP_ROWS:
        finalists = divided_again(question, finalists, folds, train, features, seed)
    level = [f for f in finalists if f.level]
    chosen = known[min(level, key=lambda f: _simplicity(known[f.algorithm], f)).algorithm]
    below = f"ranked below the {len(measured)} that were tried"
    return ModelCandidate(
        scope=question.name,
        metric=question.problem.scorer,
        algorithm=chosen.name,
        family=chosen.family,
        selection_score=scores[chosen.name],
        finalists=tuple(finalists),
        search_space=chosen.search_space,
        defaults=chosen.defaults,
        rationale=_rationale(chosen, finalists, level, question),
        alternatives=_reasons(chosen, finalists, question.problem)
        | {a.name: below for a in ranked}
        | {name: reason for name, reason in removed.items() if name != chosen.name},
        n_rows=min(len(train.y), BENCHMARK_ROWS),
        measured=measured,
    )


def ranking_score(profile: Profile, question: Question, history: Mapping[str, Record] | None = None) -> float:
    """The guide's ranking, 0 to 1: success rate 0.40, latency 0.20, memory and interpretability 0.15 each.

    The success rate is that of earlier evaluations and of the catalogue, as if of `PRIOR_RUNS` more. A
    preferred algorithm gains 0.10.
    """
    prior = profile.success_of_classes if question.problem.of_classes else profile.success_of_numbers
    met, evaluated = (history or {}).get(profile.name, Record(0, 0))
    score = (
        0.40 * (met + PRIOR_RUNS * prior) / (evaluated + PRIOR_RUNS)
        + 0.20 * max(0.0, 1 - profile.latency_ms / 200)
        + 0.15 * max(0.0, 1 - profile.memory_gb / 16)
        + 0.15 * profile.interpretability
        + 0.10 * (profile.name in question.selection.preferred_algorithms)
    )
    return round(min(1.0, score), 6)


def _eligible(question: Question) -> tuple[list[Algorithm], dict[str, str]]:
    """Algorithms to try, and of each other one of the catalogue which filters removed it."""
    reasons = {profile.name: _filters(profile, question) for profile in CATALOGUE.values()}
    removed = {name: ", ".join(rules) for name, rules in reasons.items() if rules}
    eligible = [a for name, a in question.problem.algorithms.items() if name not in removed]
    if not eligible:
        raise _nobody(question, removed, {})
    return eligible, removed


def _filters(profile: Profile, question: Question) -> list[str]:
    """The reason of each filter on what is declared that removes an algorithm, in the guide's order."""
    wanted, problem = question.selection, question.problem
    causal = profile.family == "causal_ml"
    other = "causal: needs a treatment" if causal else f"not for {problem.problem_type}"
    rules: list[tuple[bool, str]] = [
        (profile.name in problem.algorithms, other),
        (profile.name not in wanted.excluded_algorithms, "excluded"),
        (
            not wanted.interpretability_required or profile.interpretability >= INTERPRETABLE,
            f"interpretability {profile.interpretability:g} under {INTERPRETABLE}: {profile.because}",
        ),
    ]
    return [reason for holds, reason in rules if not holds]


def broken_constraints(measured: Measurement, wanted: Selection) -> list[str]:
    """The constraints that a model breaks, without what was measured: that is another figure tomorrow."""
    rules = [
        (measured.latency_ms <= wanted.max_latency_ms, f"slower than {wanted.max_latency_ms:g} ms"),
        (measured.memory_gb <= wanted.max_memory_gb, f"needs more than {wanted.max_memory_gb:g} GB"),
    ]
    return [reason for holds, reason in rules if not holds]


def _nobody(
    question: Question, removed: Mapping[str, str], measured: Mapping[str, Measurement]
) -> NoCandidateError:
    def costs(name: str) -> str:
        if name not in measured:
            return ""
        return f" (measured {measured[name].latency_ms:.2g} ms, {measured[name].memory_gb:.2g} GB)"

    each = "; ".join(f"{name}: {reason}{costs(name)}" for name, reason in removed.items())
    return NoCandidateError(f"{question.name}: no algorithm is left ({each})")


def _simplicity(algorithm: Algorithm, finalist: Finalist) -> tuple[float, float, float]:
    """Order of preference among equals: the more interpretable, then the faster, then the better measured."""
    return (-algorithm.profile.interpretability, algorithm.profile.latency_ms, finalist.behind)


def _reasons(chosen: Algorithm, finalists: Sequence[Finalist], problem: Problem) -> dict[str, str]:
    """Why each finalist but the chosen one was not taken."""
    winner = next(f for f in finalists if f.algorithm == chosen.name)
    reasons = {}
    for other in finalists:
        if other.algorithm == chosen.name:
            continue
        gap = other.behind - winner.behind
        size = problem.figure(problem.primary_metric, abs(gap))
        if gap < 0 and other.level:
            why = f"{problem.scorer} {size} ahead, within the noise of the comparison; less simple or slower"
        elif other.level:
            why = f"{problem.scorer} {size} behind, within the noise of the comparison; less simple or slower"
        else:
            why = f"{problem.scorer} {problem.figure(problem.primary_metric, other.behind)} behind"
        reasons[other.algorithm] = why
    return reasons


def _rationale(
    chosen: Algorithm, finalists: Sequence[Finalist], level: Sequence[Finalist], question: Question
) -> str:
    winner = next(f for f in finalists if f.algorithm == chosen.name)
    figure = partial(question.problem.figure, question.problem.primary_metric)
    text = (
        f"{chosen.name}: cross-validated {question.problem.scorer} {figure(winner.score_mean)} "
        f"± {figure(winner.score_std)} on train"
    )
    best = finalists[0]
    if winner is best and len(level) == 1:
        text += f", the best of {len(finalists)} compared"
    elif winner is best:
        text += f", the best of {len(finalists)} compared and the simplest within the noise"
    else:
        text += (
            f"; {best.algorithm} has {figure(winner.behind)} more, within the noise of the comparison"
            f" ({figure(winner.noise)}), and {chosen.name} is simpler or faster"
        )
    unknown = [n for n in question.selection.excluded_algorithms if n not in CATALOGUE]
    if unknown:
        text += f". Excluded but not registered: {', '.join(unknown)}"
    return text
