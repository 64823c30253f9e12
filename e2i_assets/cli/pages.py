"""The pages that reports keep beside them, over HTTP: no browser follows a link from Dagit to a file."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from e2i_assets.quality.render import stamped
from e2i_assets.resources.store import ArtifactStore

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The pages have no scripts and load nothing; should one ever come by, the browser does not run it."""


def serve_pages(store: ArtifactStore, host: str, port: int) -> ThreadingHTTPServer:
    """Serve the HTML pages of the store's versions, and nothing else, until `shutdown`.

    Raises:
        OSError: the port is taken.
    """

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = store.page(self.path.lstrip("/"))
            if page is None:
                self.send_error(404, "no such page")
                return
            about = f"{page.partition}, {page.asset}, made {page.made:%Y-%m-%d}, version {page.version}"
            body = stamped(page.html, about).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Dagit's own log is enough."""

    server = ThreadingHTTPServer((host, port), Pages)
    Thread(target=server.serve_forever, daemon=True).start()
    return server
