"""What a version in shadow showed beside the one that answers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class ShadowEvidence:
    """The minutes since a version entered shadow, taken together.

    Attributes:
        first, last: of the minutes in which requests were scored; None where there are none.
        days: calendar days (UTC) on which there were any.
        errors: requests without an answer.
        latency_p99_ms: 99 of 100 requests were scored in minutes whose own 99th percentile is at most this.
        mean_difference: mean size of the difference to the version that answered; None where none did.
    """

    first: dt.datetime | None = None
    last: dt.datetime | None = None
    days: int = 0
    requests: int = 0
    errors: int = 0
    latency_p99_ms: float | None = None
    mean_difference: float | None = None

    @property
    def error_rate(self) -> float | None:
        """Share of requests without an answer."""
        return self.errors / self.requests if self.requests else None
