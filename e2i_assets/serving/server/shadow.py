"""Versions in shadow: asked what the one that answers was asked, off the path of requests."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from e2i_assets.observability.background import Background, Unavailable, logger
from e2i_assets.observability.database import Database

if TYPE_CHECKING:
    from e2i_assets.serving.server.model import Model

PLACES = 2_000
"""Rows that wait for a shadow."""
MINUTES = 10_000
"""Of evidence that wait for the database: a week of one shadow."""
_INSERT = """
INSERT INTO e2i.ml_shadow_evidence
    (model_name, version, minute, recorded_by, requests, errors, latency_p99_ms, mean_difference)
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(model_name text, version integer, minute timestamptz,
    recorded_by text, requests integer, errors integer, latency_p99_ms double precision,
    mean_difference double precision)
ON CONFLICT DO NOTHING"""


class Asked(NamedTuple):
    """A request: `figures` of the version that answered it, None where that failed."""

    model_name: str
    rows: Sequence[Mapping[str, Any]]
    figures: Any


@dataclass
class Minute:
    """What a shadow did in a minute."""

    errors: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)

    def evidence(self) -> dict[str, Any]:
        """Aggregates, as `ml_shadow_evidence` has them."""
        import numpy as np

        answered = len(self.latencies_ms)
        p99 = float(np.quantile(self.latencies_ms, 0.99, method="higher")) if answered else None
        return {
            "requests": answered + self.errors,
            "errors": self.errors,
            "latency_p99_ms": p99,
            "mean_difference": float(np.mean(self.differences)) if self.differences else None,
        }


def _lost(minutes: int, why: str) -> None:
    logger.warning("shadow evidence: %d minutes lost: %s", minutes, why)


class Shadows:
    """Scores requests with the shadows of their models, and writes down each minute when it is over.

    A difference is that of `Model.figures`, its mean size over the rows of a request.
    """

    def __init__(
        self, shadows: Iterable[Model], url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._shadows: dict[str, list[Model]] = {}
        for shadow in shadows:
            self._shadows.setdefault(shadow.name, []).append(shadow)
        self._minutes: dict[tuple[datetime, str, int], Minute] = {}
        self._evidence: list[dict[str, Any]] = []
        self._database, self._clock = Database(url), clock
        self._recorded_by = f"{platform.node()}:{os.getpid()}:{clock():%Y%m%dT%H%M%S}"
        self.background = Background("shadow evidence", self._work, PLACES)

    def watch(self, name: str) -> bool:
        """Whether there is a shadow of this model."""
        return name in self._shadows

    def close(self) -> None:
        """Score what waits, and write down the minute that is not over."""
        self.background.close()
        self._gather(whole_minutes=False)
        try:
            self._write()
        except Unavailable as error:
            logger.warning("shadow evidence: the last minute is lost: %s", error)

    def offer(self, request: Asked) -> None:
        """Hand over a request; comes back at once."""
        self.background.offer(request, len(request.rows))

    def _work(self, requests: list[Asked]) -> None:
        # Scored once, though writing is tried again.
        while requests:
            self._score(requests.pop(0))
        self._gather(whole_minutes=True)
        self._write()

    def _gather(self, *, whole_minutes: bool) -> None:
        """Aggregate the minutes that are over; while the database is away, the newest are kept."""
        now = self._clock()
        for key in [k for k in self._minutes if not whole_minutes or k[0] + timedelta(minutes=1) <= now]:
            minute, name, version = key
            evidence = self._minutes.pop(key).evidence()
            self._evidence.append(
                {"model_name": name, "version": version, "minute": minute.isoformat(),
                 "recorded_by": self._recorded_by, **evidence}
            )  # fmt: skip
        del self._evidence[:-MINUTES]

    def _write(self) -> None:
        self._database.insert_each(_INSERT, self._evidence, lambda minute: [minute], _lost)

    def _score(self, request: Asked) -> None:
        import numpy as np

        minute = self._clock().replace(second=0, microsecond=0)
        for shadow in self._shadows[request.model_name]:
            of = self._minutes.setdefault((minute, shadow.name, int(shadow.version)), Minute())
            if request.figures is None and shadow.role == "active":
                of.errors += 1
                continue
            start = time.perf_counter()
            try:
                figures = shadow.figures(shadow.given(request.rows))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the evidence counts
                of.errors += 1
                logger.warning("shadow %s %s: %s", shadow.name, shadow.version, type(error).__name__)
                continue
            of.latencies_ms.append(1000 * (time.perf_counter() - start))
            if (
                shadow.role == "shadow" and request.figures is not None
            ):  # one that answers alone differs from nobody
                of.differences.append(float(np.abs(figures - request.figures).mean()))
