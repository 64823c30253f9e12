"""How far estimates of one effect by several methods agree, and what they say together.

The estimates are of the same rows, so they share the noise of the sample: what they differ by is what the
methods differ by. That is why a consensus is never surer than the widest of them, however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Literal

from e2i_assets.causal.report import Effect

PairStatus = Literal["passed", "warning", "failed"]

SIGNIFICANT = 0.05
AGREE, DOUBTFUL = 0.8, 0.5
"""Agreement from which a pair passes, and below which it fails."""
NEGLIGIBLE = 0.05
"""Of the outcome's standard deviation: what differs by less is told apart for no purpose."""


@dataclass(frozen=True)
class PairAgreement:
    """Two libraries compared.

    Attributes:
        agreement: 1 less the difference relative to the larger estimate, to what is negligible, or to the
            width of the narrower interval, whichever is largest; not below 0.
        same_direction: false where the signs differ and at least one of the two is significant.
        same_significance: whether both, or neither, are significant.
        interval_overlap: what the two intervals share, of what they cover together.
    """

    libraries: tuple[str, str]
    agreement: float
    same_direction: bool
    same_significance: bool
    interval_overlap: float

    @property
    def status(self) -> PairStatus:
        """`failed` where they contradict each other, `passed` where nothing sets them apart."""
        doubtful = self.agreement < DOUBTFUL and self.interval_overlap < DOUBTFUL
        if not self.same_direction or doubtful:
            return "failed"
        return "warning" if self.why else "passed"

    @property
    def why(self) -> str:
        """What sets them apart; empty where nothing does."""
        reasons = {
            "opposite directions": not self.same_direction,
            f"agreement {self.agreement:.2f}": self.agreement < AGREE,
            "one is significant, the other is not": not self.same_significance,
            "their intervals share nothing": self.interval_overlap == 0.0,
        }
        return ", ".join(reason for reason, holds in reasons.items() if holds)


def compare(effects: Mapping[str, Effect], outcome_sd: float) -> tuple[PairAgreement, ...]:
    """Every pair of libraries.

    Args:
        effects: of each library that has one, with finite intervals of some width.
        outcome_sd: standard deviation of the outcome, for what is negligible.
    """
    return tuple(
        PairAgreement(
            libraries=(one, other),
            agreement=agreement(effects[one], effects[other], NEGLIGIBLE * outcome_sd),
            same_direction=same_direction(effects[one], effects[other]),
            same_significance=significant(effects[one]) == significant(effects[other]),
            interval_overlap=interval_overlap(effects[one], effects[other]),
        )
        for one, other in combinations(effects, 2)
    )


def agreement(a: Effect, b: Effect, negligible: float) -> float:
    """From 0 to 1; estimates below their own noise are compared with the noise, not with each other."""
    noise = min(a.high - a.low, b.high - b.low)
    scale = max(abs(a.estimate), abs(b.estimate), noise, negligible)
    return max(0.0, 1.0 - abs(a.estimate - b.estimate) / scale)


def same_direction(a: Effect, b: Effect) -> bool:
    """Two that show no effect do not contradict each other, whatever their signs."""
    return (a.estimate >= 0) == (b.estimate >= 0) or not (significant(a) or significant(b))


def significant(effect: Effect) -> bool:
    """At 5 %."""
    return effect.p < SIGNIFICANT


def interval_overlap(a: Effect, b: Effect) -> float:
    """Shared width of the two intervals over the width that they cover together, gap included."""
    shared = min(a.high, b.high) - max(a.low, b.low)
    return max(0.0, shared) / (max(a.high, b.high) - min(a.low, b.low))


def consensus(effects: Sequence[Effect]) -> tuple[float, tuple[float, float]]:
    """The middle estimate, and the interval that holds those of all.

    So the interval holds every estimate: it is never narrower than the disagreement.
    """
    return (
        float(median(effect.estimate for effect in effects)),
        (min(effect.low for effect in effects), max(effect.high for effect in effects)),
    )


def overall(pairs: Sequence[PairAgreement]) -> PairStatus:
    """As the worst pair: a contradiction is none the smaller for two others that agree."""
    statuses = {pair.status for pair in pairs}
    return "failed" if "failed" in statuses else "warning" if "warning" in statuses else "passed"
