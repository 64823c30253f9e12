"""A span of each prediction, of some of them: whether is decided before anything is made of it.

BentoML's own tracing makes spans of everything, which costs more than a prediction does; it is off.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from e2i_assets.observability.background import Background, logger
from e2i_assets.observability.otlp import parse_headers
from e2i_assets.observability.recorder import Recorder
from e2i_assets.observability.span import Span, caller, new_span_id, new_trace_id

if TYPE_CHECKING:
    from e2i_assets.serving.server.model import Model

SHARE = "E2I_TRACE_PREDICTIONS"
"""Variable with the share of predictions that have a span; those that failed have one always."""
ENDPOINT, HEADERS = "E2I_OTLP_ENDPOINT", "E2I_OTLP_HEADERS"
TRACEPARENT = b"traceparent"
PROBE = b"x-e2i-probe"
"""Header of requests by which somebody tries the service: they are answered, and neither logged nor traced
nor scored by shadows."""
_VERDICTS = {200: "answered", 503: "overloaded"}


class Tracing:
    """Makes spans of predictions, where somebody keeps them."""

    def __init__(self, service: str, release: str, url: str | None, *, shadowed: frozenset[str]) -> None:
        """Read from the environment what is wanted.

        Args:
            url: of the PostgreSQL that keeps spans.
            shadowed: models of which a shadow is asked the same.

        Raises:
            RuntimeError: a variable that cannot be used; names it, never its value.
        """
        self._service, self._release, self._shadowed = service, release, shadowed
        self._share = _share(os.environ.get(SHARE, "0.1"))
        endpoint = os.environ.get(ENDPOINT)
        try:
            headers = parse_headers(os.environ.get(HEADERS, ""))
        except ValueError as error:
            raise RuntimeError(f"{HEADERS}: {error}") from None
        wanted = self._share and (url or endpoint)
        self._recorder = Recorder(url, endpoint, headers, logger) if wanted else None

    @property
    def sinks(self) -> dict[str, Background]:
        """Where spans go; none where nobody keeps them."""
        return self._recorder.sinks if self._recorder else {}

    def close(self) -> None:
        """Hand on what waits."""
        if self._recorder:
            self._recorder.close()

    def note(self, asked: Mapping[str, Any], endpoint: str, status: int) -> None:
        """Hand over the span of a request, if there is to be one; comes back at once.

        Args:
            asked: `headers` and `start` (`perf_counter`) of the request; `model` and `rows` as far as it came
                to that.
        """
        headers, recorder = asked["headers"], self._recorder
        if recorder is None or PROBE in headers:
            return
        known = caller(headers.get(TRACEPARENT))
        if status < 500 and not (known.sampled if known else random.random() < self._share):
            return
        ended = time.time_ns()
        model: Model | None = asked["model"]
        recorder.offer(
            Span(
                known.trace_id if known else new_trace_id(),
                new_span_id(),
                known.span_id if known else None,
                endpoint,
                self._service,
                ended - int(1e9 * (time.perf_counter() - asked["start"])),
                ended,
                f"HTTP {status}" if status >= 500 else None,
                {
                    "model": model.name if model else None,
                    "version": model.version if model else None,
                    "stage": model.stage if model else None,
                    "partition": model.partition if model else None,
                    "release": self._release,
                    "rows": asked["rows"],
                    "http.response.status_code": status,
                    "verdict": _VERDICTS.get(status, "failed" if status >= 500 else "refused"),
                    "shadow": model.name in self._shadowed if model else None,
                },
            )
        )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise RuntimeError(f"{SHARE}: must be a number from 0 (none) to 1 (every prediction)")
    return share
