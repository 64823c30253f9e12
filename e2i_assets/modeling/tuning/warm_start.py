"""Warm start: the best parameters of earlier studies of similar problems are tried first.

How similar two studies are is a sum of five parts: the same algorithm 0.4, the same problem type 0.3, the
same metric 0.1, and up to 0.1 each for near numbers of samples (on a logarithmic scale) and of features.
Only studies of the same algorithm and problem type are asked for. Aggregates only, no row of anybody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.selection.algorithms import Algorithm
from e2i_assets.modeling.tuning.config import WarmStartConfig

SHARE = 4
"""One in so many trials is spent on earlier parameters, of which few are the best here as well: with these
the sampler knows where to search, and the rest is its own.
"""


@dataclass(frozen=True)
class ProblemProfile:
    """What a study worked on.

    Attributes:
        n_samples: rows of train.
        n_features: raw features.
        n_classes, class_balance: of the target, and the share of its rarest class; None of a number.
        feature_types: kind of a feature's column to how many are of it.
    """

    algorithm: str
    problem_type: str
    metric: str
    n_samples: int | None
    n_features: int | None
    n_classes: int | None = None
    class_balance: float | None = None
    feature_types: Mapping[str, int] | None = None


def profile(train: LabelledSplit, algorithm: str) -> ProblemProfile:
    """The profile of a study on this training split."""
    problem = train.problem
    counts = np.unique(train.y, return_counts=True)[1] if problem.stratified else None
    numeric = int(train.X.select_dtypes("number").shape[1])
    return ProblemProfile(
        algorithm=algorithm,
        problem_type=problem.problem_type,
        metric=problem.scorer,
        n_samples=len(train.y),
        n_features=train.X.shape[1],
        n_classes=None if counts is None else len(counts),
        class_balance=None if counts is None else float(counts.min() / counts.sum()),
        feature_types={"numeric": numeric, "other": train.X.shape[1] - numeric},
    )


@dataclass(frozen=True)
class Pattern:
    """What an earlier study found.

    Attributes:
        best_params: of its search space.
        next_params: those of its next best trials, best first.
        trials_to_best: after how many trials it had found them.
        cold: whether it started without any other's parameters.
    """

    pattern_id: int
    profile: ProblemProfile
    best_params: Mapping[str, Any]
    best_value: float
    trials_to_best: int
    cold: bool
    next_params: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class WarmStart:
    """A pattern whose parameters were tried.

    Attributes:
        params: those of its parameters that lie in the current space.
        trial: the number of the trial that tried them; 0 where they are the defaults.
        trials_to_best, best_value: of the pattern.
        cold: whether they are the best of a cold study, and all of them.
    """

    pattern_id: int
    similarity: float
    params: Mapping[str, Any]
    trial: int
    trials_to_best: int
    cold: bool
    best_value: float


def similarity(here: ProblemProfile, earlier: ProblemProfile) -> float:
    """0 to 1; a number that is not known here counts half, one that is not known there a fifth."""
    score = 0.4 * (earlier.algorithm == here.algorithm) + 0.3 * (earlier.problem_type == here.problem_type)
    score += 0.1 * (not earlier.metric or earlier.metric == here.metric)
    score += _near(
        here.n_samples,
        earlier.n_samples,
        lambda a, b: abs(math.log10(a + 1) - math.log10(b + 1)) / 3,
    )
    score += _near(here.n_features, earlier.n_features, lambda a, b: abs(a - b) / max(a, b, 1))
    return round(score, 6)


def _near(here: int | None, earlier: int | None, distance: Any) -> float:
    if here is None:
        return 0.05
    if earlier is None:
        return 0.02
    return 0.1 * (1 - min(1.0, distance(here, earlier)))


def warm_starts(
    here: ProblemProfile,
    patterns: Sequence[Pattern],
    algorithm: Algorithm,
    config: WarmStartConfig,
    n_trials: int,
) -> list[WarmStart]:
    """What to try first: the best of each pattern, most similar first, then the next best of each.

    Each parameters are tried once; trial 0 is the defaults'. At most one trial in `SHARE` is spent on it, so
    that the search goes on from the best known point.
    """
    if not config.enabled:
        return []
    ranked = sorted(
        ((similarity(here, pattern.profile), pattern) for pattern in patterns),
        key=lambda pair: (-pair[0], -pair[1].best_value, pair[1].pattern_id),
    )
    given = [
        (rank, degree, pattern, params)
        for degree, pattern in ranked
        for rank, params in enumerate((pattern.best_params, *pattern.next_params))
        if degree >= config.min_similarity
    ]
    space, most = algorithm.search_space, min(config.max_trials_to_import, n_trials // SHARE)
    tried = [{name: algorithm.defaults[name] for name in space}]
    starts: list[WarmStart] = []
    for rank, degree, pattern, earlier in sorted(given, key=lambda one: one[0]):
        params = {
            name: value for name, value in earlier.items() if name in space and _inside(value, space[name])
        }
        again = params in tried
        if not params or (rank if again else len(tried) > most):
            continue
        tried += [] if again else [params]
        starts.append(
            WarmStart(
                pattern_id=pattern.pattern_id,
                similarity=degree,
                params=params,
                trial=tried.index(params),
                trials_to_best=pattern.trials_to_best,
                cold=pattern.cold and not rank and params == dict(earlier),
                best_value=pattern.best_value,
            )
        )
    return starts


def _inside(value: Any, spec: Mapping[str, Any]) -> bool:
    if spec["type"] == "categorical":
        return value in spec["choices"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and spec["low"] <= value <= spec["high"] and (spec["type"] != "int" or value == int(value))


def trials_sooner(starts: Sequence[WarmStart], scores: Sequence[float | None]) -> int | None:
    """How many trials sooner than a cold start this study had parameters as good as that one's best.

    That one's best parameters are scored on the data of this study, among its first trials, so that the
    scores compare. None where no cold study's parameters were tried whole, or none was finished.

    Args:
        scores: of each trial, in order; None of one that was not finished.
    """
    for start in starts:
        score = scores[start.trial] if start.trial < len(scores) else None
        if start.cold and score is not None:
            reached = next(n for n, other in enumerate(scores, 1) if other is not None and other >= score)
            return start.trials_to_best - reached
    return None
