"""Whether a version may enter a stage: each rule with what it wants and what there is. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from e2i_assets.registry.errors import RegistryError
from e2i_assets.registry.evidence import ShadowEvidence
from e2i_assets.registry.ledger import Model, NewVersion
from e2i_assets.registry.rules import SAMPLES, PromotionRules

APPROVAL = "approval"
"""Name of the requirement that a person meets."""
SKEW = dt.timedelta(minutes=1)
"""By how much clocks of machines may differ."""


@dataclass(frozen=True)
class Requirement:
    """One rule for entering a stage.

    Attributes:
        name: as the file has it (`min_auc`), or `shadow_days`, `approval` and the like.
        wanted, found: in words; what is missing says so.
    """

    name: str
    met: bool
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.name}: {self.found}, {self.wanted} wanted"


def in_words(those: Iterable[Requirement]) -> str:
    """Requirements in a line."""
    return "; ".join(map(str, those))


def require_clock(model: Model, now: dt.datetime) -> None:
    """Check that time does not run backwards.

    Raises:
        RegistryError: the ledger has an entry of later than now.
    """
    if model.entries and now < (last := model.entries[-1].at):
        raise RegistryError(
            f"it is {now:%Y-%m-%d %H:%M:%S} UTC, and the ledger of {model.name} has an entry of "
            f"{last:%Y-%m-%d %H:%M:%S} UTC",
            "Set the database server's clock, or wait until it is later than that.",
            code="clock_behind",
        )


def requirements(rules: PromotionRules, version: NewVersion, stage: str) -> tuple[Requirement, ...]:
    """What the evidence of a version's making says of a stage."""
    judged = []
    for rule in rules.criteria(version.problem_type, stage):
        value = version.samples.get("train") if rule.metric == SAMPLES else version.metrics.get(rule.metric)
        judged.append(_bounded(rule.name, value, rule.threshold, at_least=rule.bound == "min"))
    return tuple(judged)


def shadow_requirements(
    rules: PromotionRules, entered: dt.datetime, evidence: ShadowEvidence, now: dt.datetime
) -> Iterator[Requirement]:
    """What a version's time in shadow says of production.

    Args:
        entered: when it entered shadow.
        evidence: since then.
    """
    wanted, days = rules.shadow, (now - entered) / dt.timedelta(days=1)
    if evidence.last is not None and evidence.last > now + SKEW:
        yield Requirement(
            "shadow_clock", False, "evidence of the past", f"some of {evidence.last:%Y-%m-%d %H:%M} UTC"
        )
    yield Requirement(
        "shadow_days",
        min(days, evidence.days) >= wanted.duration_days,
        f"{wanted.duration_days:g} days in shadow with requests on each",
        f"{max(days, 0):.1f} days, requests on {evidence.days}",
    )
    yield Requirement(
        "shadow_requests",
        evidence.requests >= wanted.min_requests,
        f"at least {wanted.min_requests}",
        f"{evidence.requests}",
    )
    yield _bounded("shadow_error_rate", evidence.error_rate, wanted.max_error_rate)
    yield _bounded("shadow_latency_p99_ms", evidence.latency_p99_ms, wanted.max_latency_p99_ms)


def _bounded(name: str, value: float | None, limit: float, *, at_least: bool = False) -> Requirement:
    wanted = f"{'at least' if at_least else 'at most'} {limit:g}"
    if value is None or not math.isfinite(value):
        return Requirement(name, False, wanted, "not known")
    return Requirement(name, value >= limit if at_least else value <= limit, wanted, _figure(value))


def _figure(value: float) -> str:
    return f"{value:.4g}" if value % 1 else f"{value:.0f}"
