"""How bad a drift is: by the size of its effect, and only where chance does not explain it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SEVERITIES = ("none", "low", "medium", "high", "critical")
WEIGHTS = dict(zip(SEVERITIES, (0.0, 0.25, 0.5, 0.75, 1.0), strict=True))
"""What each counts in a composite score."""
BANDS: Mapping[str, tuple[float, float, float, float]] = {
    "psi": (0.05, 0.10, 0.20, 0.25),
    "ks": (0.09, 0.125, 0.18, 0.20),
    "missing": (0.02, 0.05, 0.10, 0.20),
    "new_level": (0.01, 0.05, 0.10, 0.20),
}
"""Effects from which a drift is low, medium, high, critical. Those of the stability index are the guide's;
the distance of Kolmogorov and Smirnov has those of a normal distribution that is shifted to that index; then
the difference of shares without a value, and the share of the most frequent new level."""


def severity_of(effect: str, size: float) -> str:
    """The band of an effect of that size."""
    return SEVERITIES[sum(size >= band for band in BANDS[effect])]


def worst(severities: Iterable[str]) -> str:
    """The worst of several; `none` of none."""
    return max(severities, key=SEVERITIES.index, default="none")
