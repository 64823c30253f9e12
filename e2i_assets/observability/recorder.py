"""Where spans are kept: `ml_observability_spans`, and whoever collects them over OTLP."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from e2i_assets.observability.background import Background
from e2i_assets.observability.database import Database
from e2i_assets.observability.otlp import Receiver
from e2i_assets.observability.span import Span, clean

PLACES = 5_000
"""Spans that wait to be taken."""
KEPT_DAYS = 30
_INSERT = f"""
WITH old AS (
    DELETE FROM e2i.ml_observability_spans WHERE (trace_id, span_id) IN (
        SELECT trace_id, span_id FROM e2i.ml_observability_spans
        WHERE started_at < now() - interval '{KEPT_DAYS} days' LIMIT 1000 FOR UPDATE SKIP LOCKED)
)
INSERT INTO e2i.ml_observability_spans (trace_id, span_id, parent_span_id, service, operation, started_at,
    ended_at, duration_ms, status, error_type, model_name, partition, run_id, attributes)
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(trace_id text, span_id text, parent_span_id text,
    service text, operation text, started_at timestamptz, ended_at timestamptz, duration_ms double precision,
    status text, error_type text, model_name text, partition text, run_id text, attributes jsonb)
ON CONFLICT DO NOTHING"""
"""Whoever writes spans removes what is too old, a thousand at a time: there is nothing to be scheduled."""


class Recorder:
    """Hands spans over to where they are kept, each on a thread of its own: one that is down keeps none from
    the other, and whose span it is waits for neither.

    Attributes:
        sinks: name to the queue before it; counts what is lost.
    """

    def __init__(
        self, url: str | None, endpoint: str | None, headers: Mapping[str, str], logger: logging.Logger
    ) -> None:
        """Start the threads.

        Args:
            url: of the PostgreSQL that has the table.
            endpoint, headers: see `Receiver`.
        """
        self.sinks: dict[str, Background] = {}
        if url:
            self._database = Database(url)
            self.sinks["spans"] = Background("spans", self._write, PLACES, what="spans", logger=logger)
        if endpoint:
            self._receiver = Receiver(endpoint, headers)
            self.sinks["spans_otlp"] = Background(
                "spans over OTLP", self._send, PLACES, what="spans", logger=logger
            )

    def offer(self, span: Span) -> None:
        """Hand over a span; comes back at once."""
        for sink in self.sinks.values():
            sink.offer(span)

    def close(self) -> None:
        """Hand on what waits, as far as that is soon done."""
        for sink in self.sinks.values():
            sink.close()

    def _write(self, spans: list[Span]) -> None:
        self._database.insert_each(_INSERT, spans, lambda span: [row(span)], self.sinks["spans"].drop)

    def _send(self, spans: list[Span]) -> None:
        if spans and (refused := self._receiver.send(spans)):
            self.sinks["spans_otlp"].drop(refused, "refused by the receiver")


def row(span: Span) -> dict[str, Any]:
    """A span as `ml_observability_spans` has it."""
    attributes = clean(span.attributes)
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "service": span.service,
        "operation": span.name,
        "started_at": _time(span.started_ns),
        "ended_at": _time(span.ended_ns),
        "duration_ms": (span.ended_ns - span.started_ns) / 1e6,
        "status": "error" if span.error_type else "success",
        "error_type": span.error_type,
        "model_name": attributes.pop("model", None),
        "partition": attributes.pop("partition", None),
        "run_id": span.run_id,
        "attributes": attributes,
    }


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat()
