"""Somebody who takes spans over OTLP/HTTP, as a collector of OpenTelemetry does, on a thread of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Received:
    """What came; `status` and `answer` are what the next ones are answered."""

    url: str
    status: int = 200
    answer: bytes = b""
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def spans(self) -> list[dict[str, Any]]:
        """Spans that were taken."""
        return [
            {
                "service": resource.resource.attributes[0].value.string_value,
                "name": span.name,
                "trace_id": span.trace_id.hex(),
                "span_id": span.span_id.hex(),
                "parent": span.parent_span_id.hex(),
                "error": span.status.code == span.status.STATUS_CODE_ERROR,
                "ns": span.end_time_unix_nano - span.start_time_unix_nano,
                "attributes": {one.key: _value(one.value) for one in span.attributes},
            }
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@contextmanager
def receiving() -> Iterator[Received]:
    """A receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            received.paths.append(self.path)
            received.headers.append(dict(self.headers.items()))
            if received.status == 200:
                received.requests.append(ExportTraceServiceRequest.FromString(content))
            self.send_response(received.status)
            self.send_header("Content-Length", str(len(received.answer)))
            self.end_headers()
            self.wfile.write(received.answer)

        def log_message(self, *_: Any) -> None:
            """Nothing: what came is in `received`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Received(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield received
        server.shutdown()
        thread.join()
