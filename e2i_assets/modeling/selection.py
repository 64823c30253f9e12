"""Which algorithm a scope gets: filtered by what it must meet, ranked, then decided by measurement.

The ranking only picks who is measured. Finalists are compared by the cross-validated score of their problem
type on the training split, each fold with its own preprocessing; one that is ahead by more than the noise of
the comparison wins, and among those within the noise the simplest and fastest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.algorithms import Algorithm
from e2i_assets.modeling.catalogue import CATALOGUE, Profile
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import NoCandidateError
from e2i_assets.modeling.feature_selection import choose_features
from e2i_assets.modeling.preprocessing import fit_preprocessor
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scope import Scope
from e2i_assets.modeling.target_encoding import training_matrix

FINALISTS = 3
"""So many are measured on more rows than `CHEAP_ROWS`; on fewer, everyone who meets the scope."""
CHEAP_ROWS = 5_000
FOLDS = 3
BENCHMARK_ROWS = 20_000
"""More rows than this are sampled for the benchmark: the comparison is settled by then."""
INTERPRETABLE = 0.7
"""From the guide: the score that counts as interpretable."""


@dataclass(frozen=True)
class Finalist:
    """One measured algorithm.

    Attributes:
        selection_score: of the ranking, 0 to 1.
        score_mean, score_std: over the folds; more is better.
        behind, noise: how far its score is behind the best one, and the standard error of that difference.
    """

    algorithm: str
    selection_score: float
    score_mean: float
    score_std: float
    behind: float
    noise: float


@dataclass(frozen=True)
class ModelCandidate:
    """The chosen algorithm, and why.

    Attributes:
        metric: what the finalists are compared by.
        finalists: what was measured, best first.
        search_space, defaults: of the chosen algorithm.
        rationale: in words, for a person.
        alternatives: algorithm to the reason why it was not chosen; everyone but the chosen.
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

    @property
    def measured(self) -> Finalist:
        """The finalist that was chosen."""
        return next(f for f in self.finalists if f.algorithm == self.algorithm)


def select_candidate(
    scope: Scope, train: LabelledSplit, *, features: Sequence[Feature], seed: int
) -> ModelCandidate:
    """Choose an algorithm for a scope from its training split alone.

    Args:
        scope: states problem type, constraints and preferences.
        train: the training split; validation and test are not needed and not asked for.
        features: columns of `train.X` to use.
        seed: of folds and estimators; with it the choice is reproducible.

    Raises:
        NoCandidateError: nothing meets the scope; there is no fallback.
        TrainingDataError: too few rows to compare algorithms on.
    """
    eligible, refused = _eligible(scope)
    scores = {a.name: ranking_score(a.profile, scope) for a in eligible}
    ranked = sorted(eligible, key=lambda a: (-scores[a.name], a.name))
    finalists = ranked if len(train.y) <= CHEAP_ROWS else ranked[:FINALISTS]
    measured = _benchmark(scope, finalists, scores, train, features, seed)

    known, metric = scope.problem.algorithms, scope.problem.scorer
    level = [f for f in measured if f.behind <= f.noise]
    chosen = known[min(level, key=lambda f: _simplicity(known[f.algorithm], f)).algorithm]
    unmeasured = {
        a.name: f"ranked below the {FINALISTS} that were measured" for a in ranked[len(finalists) :]
    }
    return ModelCandidate(
        scope=scope.name,
        metric=metric,
        algorithm=chosen.name,
        family=chosen.family,
        selection_score=scores[chosen.name],
        finalists=tuple(measured),
        search_space=chosen.search_space,
        defaults=chosen.defaults,
        rationale=_rationale(chosen, measured, level, scope),
        alternatives=_reasons(chosen, measured, scope.problem) | unmeasured | refused,
        n_rows=min(len(train.y), BENCHMARK_ROWS),
    )


def ranking_score(profile: Profile, scope: Scope) -> float:
    """The guide's ranking, 0 to 1: success rate 0.40, latency 0.20, memory and interpretability 0.15 each.

    A preferred algorithm gains 0.10.
    """
    score = (
        0.40 * (profile.success_of_classes if scope.problem.of_classes else profile.success_of_numbers)
        + 0.20 * max(0.0, 1 - profile.latency_ms / 200)
        + 0.15 * max(0.0, 1 - profile.memory_gb / 16)
        + 0.15 * profile.interpretability
        + 0.10 * (profile.name in scope.selection.preferred_algorithms)
    )
    return round(min(1.0, score), 6)


def _eligible(scope: Scope) -> tuple[list[Algorithm], dict[str, str]]:
    """Algorithms that meet the scope, and of each other one of the catalogue which filters removed it."""
    known = scope.problem.algorithms
    removed = {profile.name: _filters(profile, scope) for profile in CATALOGUE.values()}
    refused = {name: ", ".join(reasons) for name, reasons in removed.items() if reasons}
    eligible = [algorithm for name, algorithm in known.items() if name not in refused]
    if not eligible:
        raise NoCandidateError(
            f"scope {scope.name}: no algorithm is left ("
            + "; ".join(f"{name}: {reason}" for name, reason in refused.items())
            + ")"
        )
    return eligible, refused


def _filters(profile: Profile, scope: Scope) -> list[str]:
    """The reason of each filter that removes an algorithm, in the guide's order."""
    wanted, problem = scope.selection, scope.problem
    other = (
        "causal: needs a treatment" if profile.family == "causal_ml" else f"not for {problem.problem_type}"
    )
    rules: list[tuple[bool, str]] = [
        (profile.name in problem.algorithms, other),
        (profile.latency_ms <= wanted.max_latency_ms, f"slower than {wanted.max_latency_ms:g} ms"),
        (profile.memory_gb <= wanted.max_memory_gb, f"needs more than {wanted.max_memory_gb:g} GB"),
        (profile.name not in wanted.excluded_algorithms, "excluded by the scope"),
        (
            not wanted.interpretability_required or profile.interpretability >= INTERPRETABLE,
            f"interpretability {profile.interpretability:g} under {INTERPRETABLE}: {profile.because}",
        ),
    ]
    return [reason for holds, reason in rules if not holds]


def _benchmark(
    scope: Scope,
    finalists: Sequence[Algorithm],
    scores: Mapping[str, float],
    train: LabelledSplit,
    features: Sequence[Feature],
    seed: int,
) -> list[Finalist]:
    """Score of each finalist on the same folds, best first."""
    problem = train.problem
    X, y = _sample(train, seed)
    X = X[[f.name for f in features]]
    targets, predictions = [], []
    for fit_on, score_on in problem.folds(y, FOLDS, seed):
        rows, target = X.iloc[fit_on], y[fit_on]
        chosen = choose_features(rows, target, features, scope.features.selection, problem=problem, seed=seed)
        preprocessor = fit_preprocessor(rows, chosen.kept, y=target, classes=problem.stratified)
        known = training_matrix(preprocessor, rows, target)
        held = preprocessor.transform(X.iloc[score_on])
        models = [a.build(a.defaults, seed).fit(known, target) for a in finalists]
        targets.append(y[score_on])
        predictions.append([problem.predict(model, held) for model in models])
    compared = problem.compare(targets, predictions)
    found = [
        Finalist(
            algorithm=a.name,
            selection_score=scores[a.name],
            score_mean=float(compared.means[i]),
            score_std=float(compared.stds[i]),
            behind=float(compared.means.max() - compared.means[i]),
            noise=float(compared.noise[i]),
        )
        for i, a in enumerate(finalists)
    ]
    return sorted(found, key=lambda f: (-f.score_mean, f.algorithm))


def _sample(train: LabelledSplit, seed: int) -> tuple[Any, np.ndarray]:
    from sklearn.model_selection import train_test_split

    train.problem.require_folds(train.name, train.y, FOLDS)
    if len(train.y) <= BENCHMARK_ROWS:
        return train.X, train.y
    X, _, y, _ = train_test_split(
        train.X,
        train.y,
        train_size=BENCHMARK_ROWS,
        stratify=train.problem.strata(train.y),
        random_state=seed,
    )
    return X, y


def _simplicity(algorithm: Algorithm, finalist: Finalist) -> tuple[float, float, float]:
    """Order of preference among equals: the more interpretable, then the faster, then the better measured."""
    return (-algorithm.profile.interpretability, algorithm.profile.latency_ms, finalist.behind)


def _reasons(chosen: Algorithm, measured: Sequence[Finalist], problem: Problem) -> dict[str, str]:
    """Why each measured finalist but the chosen one was not taken."""
    winner = next(f for f in measured if f.algorithm == chosen.name)
    reasons = {}
    for other in measured:
        if other.algorithm == chosen.name:
            continue
        gap = winner.score_mean - other.score_mean
        told = problem.figure(problem.primary_metric, abs(gap))
        if gap < 0:
            why = f"{problem.scorer} {told} ahead, within the noise of the comparison; less simple or slower"
        elif other.behind <= other.noise:
            why = f"{problem.scorer} {told} behind, within the noise of the comparison; less simple or slower"
        else:
            why = f"{problem.scorer} {told} behind"
        reasons[other.algorithm] = why
    return reasons


def _rationale(
    chosen: Algorithm, measured: Sequence[Finalist], level: Sequence[Finalist], scope: Scope
) -> str:
    winner = next(f for f in measured if f.algorithm == chosen.name)
    figure = partial(scope.problem.figure, scope.problem.primary_metric)
    text = (
        f"{chosen.name}: cross-validated {scope.problem.scorer} {figure(winner.score_mean)} "
        f"± {figure(winner.score_std)} on train"
    )
    best = measured[0]
    if winner is best and len(level) == 1:
        text += f", the best of {len(measured)} measured"
    elif winner is best:
        text += f", the best of {len(measured)} measured and the simplest within the noise"
    else:
        text += (
            f"; {best.algorithm} measured {figure(winner.behind)} more, within the noise of the comparison"
            f" ({figure(winner.noise)}), and {chosen.name} is simpler or faster"
        )
    unknown = [n for n in scope.selection.excluded_algorithms if n not in CATALOGUE]
    if unknown:
        text += f". Excluded by the scope but not registered: {', '.join(unknown)}"
    return text
