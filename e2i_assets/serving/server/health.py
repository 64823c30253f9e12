"""How a model does, by the requests of the last five minutes."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["healthy", "degraded", "unhealthy"]

WINDOW_S, SLICE_S = 300, 5
ERROR_RATES = (0.05, 0.10)
"""From the first on degraded, above the second unhealthy."""
LATENCIES_S = (0.5, 2.0)
QUANTILE = 0.95
"""The latency that is told: nineteen of twenty requests were answered within it."""
EDGES = sorted({*LATENCIES_S, *(0.0001 * 1.25**step for step in range(60))})
"""Latencies are counted between these, of which the two limits are, so that the level is exact."""


@dataclass
class Slice:
    """Requests of a few seconds."""

    number: int
    requests: int = 0
    errors: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))


@dataclass(frozen=True)
class Health:
    """What the last five minutes were like; without a request nothing speaks against a model.

    Attributes:
        error_rate: share of requests answered with a 5xx: what a client did wrong (4xx) is no error.
        latency_ms: of answers within the service, the upper end of the range that holds the 95th percentile.
    """

    requests: int
    error_rate: float
    latency_ms: float

    @property
    def status(self) -> Level:
        """Degraded from 5 % errors or 500 ms on, unhealthy above 10 % or 2000 ms."""
        (soft_rate, hard_rate), (soft, hard) = ERROR_RATES, LATENCIES_S
        if self.error_rate > hard_rate or self.latency_ms > 1000 * hard:
            return "unhealthy"
        if self.error_rate >= soft_rate or self.latency_ms > 1000 * soft:
            return "degraded"
        return "healthy"


class Window:
    """Counts requests, and forgets them after five minutes; for one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slices: deque[Slice] = deque()

    def add(self, seconds: float, *, error: bool) -> None:
        """Count a request that took so long."""
        number = int(self._clock() / SLICE_S)
        if not self._slices or self._slices[-1].number != number:
            self._forget(number)
            self._slices.append(Slice(number))
        now = self._slices[-1]
        now.requests += 1
        now.errors += error
        now.latencies[bisect_left(EDGES, seconds)] += 1

    def _forget(self, number: int) -> None:
        while self._slices and self._slices[0].number <= number - WINDOW_S / SLICE_S:
            self._slices.popleft()

    def health(self) -> Health:
        """Of the last five minutes."""
        return health_of([self])

    def slices(self) -> Iterable[Slice]:
        """What is not forgotten."""
        self._forget(int(self._clock() / SLICE_S))
        return self._slices


def health_of(windows: Iterable[Window]) -> Health:
    """Of several models together."""
    slices = [one for window in windows for one in window.slices()]
    requests = sum(one.requests for one in slices)
    if not requests:
        return Health(0, 0.0, 0.0)
    wanted, reached = QUANTILE * requests, 0
    for place, edge in enumerate([*EDGES, float("inf")]):  # noqa: B007
        reached += sum(one.latencies[place] for one in slices)
        if reached >= wanted:
            break
    latency = min(edge, EDGES[-1] * 1.25)  # JSON has no infinity
    return Health(requests, sum(one.errors for one in slices) / requests, round(1000 * latency, 3))
