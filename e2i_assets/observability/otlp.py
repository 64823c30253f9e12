"""Spans over OTLP/HTTP, as protobuf, to whoever collects them: an OpenTelemetry collector, Jaeger, Opik, ...

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from e2i_assets.observability.background import Unavailable
from e2i_assets.observability.span import Span, clean

PATH = "/v1/traces"
TIMEOUT_S = 2.0
MOST_OF_AN_ANSWER = 65_536
"""Bytes; whatever answers without end is not listened to."""
LATER = (408, 429, 502, 503, 504)
"""What a receiver answers that may take the same spans later."""


def parse_headers(text: str) -> dict[str, str]:
    """Headers as `OTEL_EXPORTER_OTLP_HEADERS` has them, `name=value,name=value`, values percent-encoded.

    Raises:
        ValueError: one is not of that form; names its place, not what it is.
    """
    headers = {}
    for place, part in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, equals, value = part.partition("=")
        if not (equals and name.strip().isascii() and name.strip()):
            raise ValueError(f"header {place} is not of the form name=value")
        headers[name.strip()] = unquote(value.strip())
    return headers


class Receiver:
    """Takes spans over one kept connection, for one thread."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        """Keep where it is; the headers, which may hold a key, are told to nobody.

        Args:
            endpoint: its base address; spans go to `/v1/traces` below it.
        """
        self._url = endpoint.rstrip("/").removesuffix(PATH) + PATH
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._client: Any = None
        # Imported now: beside the answering of requests it would take its half second from them.
        import httpx  # noqa: F401
        from opentelemetry.exporter.otlp.proto.common import trace_encoder  # noqa: F401

    def send(self, spans: Sequence[Span]) -> int:
        """Send spans; returns how many the receiver refused.

        Raises:
            Unavailable: it does not answer, or asks to be tried later.
        """
        import httpx
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        if self._client is None:
            self._client = httpx.Client(headers=self._headers, timeout=TIMEOUT_S)
        try:
            with self._client.stream("POST", self._url, content=encode(spans)) as response:
                answer = next(response.iter_bytes(MOST_OF_AN_ANSWER), b"")
        except httpx.HTTPError as error:
            raise Unavailable(type(error).__name__) from None
        if response.status_code in LATER:
            raise Unavailable(f"HTTP {response.status_code}")
        if not response.is_success:
            return len(spans)
        rejected = int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
        return min(max(rejected, 0), len(spans))


def encode(spans: Sequence[Span]) -> bytes:
    """An `ExportTraceServiceRequest`."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    resources = {service: Resource({SERVICE_NAME: service}) for service in {span.service for span in spans}}

    def context(span: Span, span_id: str) -> SpanContext:
        return SpanContext(
            int(span.trace_id, 16),
            int(span_id, 16),
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )

    def readable(span: Span) -> ReadableSpan:
        extra = {"run_id": span.run_id, "error.type": span.error_type}
        return ReadableSpan(
            span.name,
            context=context(span, span.span_id),
            parent=context(span, span.parent_span_id) if span.parent_span_id else None,
            resource=resources[span.service],
            attributes=clean({**extra, **span.attributes}),
            kind=SpanKind.INTERNAL if span.run_id else SpanKind.SERVER,
            status=Status(StatusCode.ERROR if span.error_type else StatusCode.UNSET),
            start_time=span.started_ns,
            end_time=span.ended_ns,
        )

    return encode_spans([readable(span) for span in spans]).SerializeToString()
