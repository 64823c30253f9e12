"""OpenLineage's own types say whether an event is one, and a receiver on this machine takes what is sent."""

from __future__ import annotations

import importlib
import json
import pkgutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from openlineage.client import generated
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState


def checked(document: dict[str, Any]) -> RunEvent:
    """The event that a document is; fails where one of the library's types does not take it."""
    assert document["schemaURL"] == RunEvent._get_schema()
    run, job = document["run"], document["job"]
    return RunEvent(
        eventType=RunState(document["eventType"]),
        eventTime=document["eventTime"],
        producer=document["producer"],
        run=Run(run["runId"], facets(run["facets"])),
        job=Job(job["namespace"], job["name"], facets(job["facets"])),
        inputs=[
            InputDataset(
                one["namespace"], one["name"], facets(one["inputFacets"]), facets=facets(one["facets"])
            )
            for one in document["inputs"]
        ],
        outputs=[
            OutputDataset(
                one["namespace"], one["name"], facets(one["outputFacets"]), facets=facets(one["facets"])
            )
            for one in document["outputs"]
        ],
    )


def facets(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Each facet as the type that its schema names."""
    return {name: facet(document) for name, document in documents.items()}


def facet(document: dict[str, Any]) -> Any:
    kind = facet_types()[document["_schemaURL"]]
    return kind(**{k: v for k, v in document.items() if not k.startswith("_")})


@cache
def facet_types() -> dict[str, Any]:
    """Schema address to type."""
    modules = [
        importlib.import_module(f"{generated.__name__}.{one.name}")
        for one in pkgutil.iter_modules(generated.__path__)
    ]
    types = [value for module in modules for value in vars(module).values() if hasattr(value, "_get_schema")]
    return {kind._get_schema(): kind for kind in types}


@contextmanager
def receiver(status: int = 201) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Address of a receiver, and the events that it took."""
    taken: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/api/v1/lineage"
            taken.append(json.loads(body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
