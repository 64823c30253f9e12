"""Doubly robust scores, and what their means say: how well a ranking by effect finds whom a treatment helps.

The score of a row is an unbiased, if noisy, measurement of its effect: right on average where either the
expected outcomes or the propensities are (Robins, Rotnitzky and Zhao 1994). So means of scores over rows that
were chosen without their outcomes are effects on those rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from e2i_assets.causal.estimands import by_cluster

LEAST_PROPENSITY = 0.01
"""A probability below it, of either arm, counts as this: one row must not outweigh a hundred."""
LEVEL = 0.95
DRAWS = 1000
"""Bootstrap samples behind the intervals of a ranking."""
SMALLEST_GROUP = 20
"""Rows below which a group by predicted effect says nothing."""
GROUPS = 5


class Estimate(NamedTuple):
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        """Whether all of the interval is."""
        return self.low > 0


@dataclass(frozen=True)
class Expected:
    """What nuisance models, fitted on other rows, expect of each row.

    Attributes:
        control, treated: outcome without and with the treatment, shape (rows,).
        propensity: probability of the treatment, shape (rows,).
    """

    control: np.ndarray
    treated: np.ndarray
    propensity: np.ndarray

    @property
    def outcome(self) -> np.ndarray:
        """Expected outcome whatever the arm, shape (rows,)."""
        return self.propensity * self.treated + (1 - self.propensity) * self.control


def arm_scores(y: np.ndarray, t: np.ndarray, expected: Expected) -> tuple[np.ndarray, np.ndarray]:
    """Doubly robust scores of the outcome without and with the treatment, each of shape (rows,)."""
    propensity = np.clip(expected.propensity, LEAST_PROPENSITY, 1 - LEAST_PROPENSITY)
    control = expected.control + (1 - t) * (y - expected.control) / (1 - propensity)
    treated = expected.treated + t * (y - expected.treated) / propensity
    return control, treated


def effect_scores(y: np.ndarray, t: np.ndarray, expected: Expected) -> np.ndarray:
    """Doubly robust scores of the effect, shape (rows,)."""
    control, treated = arm_scores(y, t, expected)
    return treated - control


def mean_of(scores: np.ndarray, clusters: np.ndarray | None = None) -> Estimate:
    """Mean with Student's interval; without ends where there are fewer than two rows, or clusters of rows.

    Args:
        clusters: number of each row's cluster, shape (rows,); without it each row stands for itself.
    """
    from scipy.stats import t as student

    if not len(scores):
        return Estimate(np.nan, np.nan, np.nan)
    value = float(scores.mean())
    off = by_cluster(scores - value, clusters)
    if (n := len(off)) < 2:
        return Estimate(value, np.nan, np.nan)
    error = np.sqrt((off**2).sum() * n / (n - 1)) / len(scores)
    reach = float(student.ppf((1 + LEVEL) / 2, n - 1) * error)
    return Estimate(value, value - reach, value + reach)


@dataclass(frozen=True)
class Ranking:
    """How well predicted effects rank rows; of rows that the model has not seen.

    Attributes:
        qini: by how much treating in this order gains more than treating in any order, averaged over the
            share that is treated; per row.
        auuc: area under the curve of what is gained, per row, by treating the first share of rows.
        shares, gains: that curve, with the ends of its interval at each share.
    """

    qini: Estimate
    auuc: Estimate
    shares: tuple[float, ...]
    gains: tuple[Estimate, ...]


def ranking(
    effects: np.ndarray, scores: np.ndarray, clusters: np.ndarray | None = None, *, seed: int
) -> Ranking:
    """Qini and AUUC of an order by predicted effect, from doubly robust scores of the same rows.

    Equal predictions share their place. Intervals are the bootstrap's, with the model as it is.

    Args:
        effects: predicted, shape (rows,).
        scores: `effect_scores` of the rows, shape (rows,).
        clusters: as of `mean_of`; whole ones are drawn.
    """
    order = np.argsort(-effects, kind="stable")
    ranked, tied = scores[order], np.unique(-effects[order], return_inverse=True)[1]
    n = len(scores)
    number = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = int(number.max()) + 1
    counts = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), DRAWS)
    every = np.vstack([np.ones(n), counts[:, number[order] if clusters is not None else number]])
    every *= n / every.sum(axis=1, keepdims=True)
    place = _places(every, tied)
    weight = every / len(scores)
    shares = np.linspace(0, 1, 11)
    # What treating the first share gains: rows before it wholly, the ties that it cuts in proportion.
    curve = np.array([(weight * ranked * _treated(every, tied, share)).sum(axis=1) for share in shares])
    return Ranking(
        qini=_with_ends((weight * ranked * (0.5 - place)).sum(axis=1)),
        auuc=_with_ends((weight * ranked * (1 - place)).sum(axis=1)),
        shares=tuple(shares.tolist()),
        gains=tuple(_with_ends(at) for at in curve),
    )


def _ends_of_ties(counts: np.ndarray, tied: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of rows before, and before or within, the tie of each row; shape (samples, rows)."""
    sizes = np.add.reduceat(counts, np.flatnonzero(np.diff(tied, prepend=-1)), axis=1)
    end = sizes.cumsum(axis=1) / counts.shape[1]
    start = end - sizes / counts.shape[1]
    return start[:, tied], end[:, tied]


def _places(counts: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """Place of each row in the order, 0 first and 1 last; ties have the middle of theirs."""
    start, end = _ends_of_ties(counts, tied)
    return (start + end) / 2


def _treated(counts: np.ndarray, tied: np.ndarray, share: float) -> np.ndarray:
    """Which part of each row is treated when the first `share` of rows is."""
    start, end = _ends_of_ties(counts, tied)
    width = np.maximum(end - start, np.finfo(float).tiny)
    return np.clip((share - start) / width, 0, 1)


def _with_ends(samples: np.ndarray) -> Estimate:
    """The figure of the rows as they are, first, with the bootstrap's percentiles of the others."""
    low, high = np.quantile(samples[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(samples[0]), float(low), float(high))


@dataclass(frozen=True)
class PolicyValue:
    """What comes of treating the rows with the largest predicted effects, and nobody else.

    Attributes:
        share: of rows that are treated.
        outcome: mean outcome of all rows then.
        gain: over treating nobody, per row.
        over_chance: over treating as many at random, per row.
        on_treated: effect on those who are treated.
    """

    share: float
    outcome: Estimate
    gain: Estimate
    over_chance: Estimate
    on_treated: Estimate


def policy_value(
    effects: np.ndarray,
    y: np.ndarray,
    t: np.ndarray,
    expected: Expected,
    share: float,
    clusters: np.ndarray | None = None,
) -> PolicyValue:
    """Value of treating the top `share` by predicted effect; ties at its edge are treated in part."""
    order = np.argsort(-effects, kind="stable")
    tied = np.unique(-effects[order], return_inverse=True)[1]
    policy = np.empty(len(effects))
    policy[order] = _treated(np.ones((1, len(effects))), tied, share)[0]
    control, treated = arm_scores(y, t, expected)
    scores = treated - control
    return PolicyValue(
        share=share,
        outcome=mean_of(control + policy * scores, clusters),
        gain=mean_of(policy * scores, clusters),
        over_chance=mean_of((policy - share) * scores, clusters),
        on_treated=_weighted_mean(scores, policy, clusters),
    )


def _weighted_mean(scores: np.ndarray, weights: np.ndarray, clusters: np.ndarray | None) -> Estimate:
    """Mean of rows that count in part, with the interval of a ratio of means; of none it is no number."""
    if not weights.any():
        return Estimate(np.nan, np.nan, np.nan)
    value = float(np.average(scores, weights=weights))
    off = mean_of(weights / weights.mean() * (scores - value), clusters)
    return Estimate(value, value + off.low, value + off.high)


@dataclass(frozen=True)
class EffectGroup:
    """Effect on a group of rows, measured by scores, beside what was predicted on average."""

    by: str
    level: str
    rows: int
    effect: Estimate | None
    predicted: float | None = None


def calibration(
    effects: np.ndarray, scores: np.ndarray, clusters: np.ndarray | None = None
) -> tuple[EffectGroup, ...]:
    """Predicted and measured effects in groups of equal size by prediction, the smallest first.

    Up to five groups of at least `SMALLEST_GROUP` rows; none where all predictions are the same.
    """
    groups = min(GROUPS, len(effects) // SMALLEST_GROUP)
    if groups < 2 or np.ptp(effects) == 0:
        return ()
    parts = np.array_split(np.argsort(effects, kind="stable"), groups)
    return tuple(
        EffectGroup(
            "predicted effect", f"{place} of {groups}", len(part),
            mean_of(scores[part], None if clusters is None else clusters[part]),
            float(effects[part].mean()),
        )
        for place, part in enumerate(parts, start=1)
    )  # fmt: skip


def by_segment(
    by: str,
    levels: Sequence[str],
    scores: np.ndarray,
    effects: np.ndarray | None = None,
    *,
    minimum: int = SMALLEST_GROUP,
    t: np.ndarray | None = None,
    least_of_arm: int = 1,
    clusters: np.ndarray | None = None,
) -> tuple[EffectGroup, ...]:
    """Effect on each level of a segment, in the order of the levels' first letters; one of fewer than
    `minimum` rows is named and not told.

    Args:
        t: treatment, shape (rows,); a level with fewer than `least_of_arm` of either arm is not told either:
            its effect would be what models make of other rows, with an interval that knows nothing of that.
    """
    of_row = np.asarray(levels, dtype=object)
    segments = []
    for level in sorted(set(of_row)):
        inside = of_row == level
        rows = int(inside.sum())
        arm = rows if t is None else min(int((t[inside] == value).sum()) for value in (0, 1))
        if rows < minimum or arm < least_of_arm:
            segments.append(EffectGroup(by, str(level), rows, None))
            continue
        predicted = None if effects is None else float(effects[inside].mean())
        of = None if clusters is None else clusters[inside]
        segments.append(EffectGroup(by, str(level), rows, mean_of(scores[inside], of), predicted))
    return tuple(segments)
