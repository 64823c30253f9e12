"""One address for Dagit and the pages that it links to: links without host and port outlive both."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from e2i_assets.cli.pages import pages_route
from e2i_assets.resources.store import ArtifactStore

LOOPBACK = "127.0.0.1"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
OF_THE_CONNECTION = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
}  # fmt: skip
"""Headers that are said to the next machine alone (RFC 9110, 7.6.1)."""

Headers = list[tuple[bytes, bytes]]


def front(store: ArtifactStore, port: int) -> Starlette:
    """An application that answers for the pages itself, and for everything else as Dagit does.

    Args:
        port: where Dagit's own web server listens, on the loopback interface alone.
    """
    # The bare transport: a client would keep cookies, and ask the environment for a proxy.
    transport = httpx.AsyncHTTPTransport()

    async def forward(request: Request) -> Response:
        body = await request.body()
        asked = httpx.Request(
            request.method, _there(request, "http", port), headers=_kept(request.headers.raw), content=body
        )  # fmt: skip
        try:
            said = await transport.handle_async_request(asked)
        except httpx.TransportError:
            return PlainTextResponse(
                "Dagit does not answer. It needs some seconds to start: load this page again. If that does "
                "not help, read what `e2i up` says.\n",
                503,
                {"Retry-After": "2"},
            )
        answer = StreamingResponse(said.aiter_raw(), said.status_code, background=BackgroundTask(said.aclose))
        answer.raw_headers = _kept(said.headers.raw)
        return answer

    async def converse(browser: WebSocket) -> None:
        protocols = [Subprotocol(p) for p in browser.scope["subprotocols"]]
        with suppress(OSError, InvalidHandshake):  # unaccepted, the browser is told that it may not
            async with connect(
                str(_there(browser, "ws", port)), subprotocols=protocols or None, max_size=None, proxy=None
            ) as there:
                await browser.accept(there.subprotocol)
                await _both_ways(browser, there)

    return Starlette(
        routes=[
            pages_route(store),
            Route("/{path:path}", forward, methods=METHODS),
            WebSocketRoute("/{path:path}", converse),
        ]
    )


async def _both_ways(browser: WebSocket, there: ClientConnection) -> None:
    """Pass texts on until one side ends."""

    async def ask() -> None:
        async for text in browser.iter_text():
            await there.send(text)

    async def answer() -> None:
        async for text in there:
            await browser.send_text(str(text))

    ways = [asyncio.create_task(ask()), asyncio.create_task(answer())]
    _, other = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in other:
        way.cancel()
    for way in ways:
        with suppress(ConnectionClosed, WebSocketDisconnect, asyncio.CancelledError):
            await way
    if WebSocketState.DISCONNECTED not in (browser.client_state, browser.application_state):
        await browser.close()


def _there(asked: Request | WebSocket, scheme: str, port: int) -> httpx.URL:
    """Path and query as they were asked for, not decoded, at Dagit's own web server and nowhere else."""
    path, query = asked.scope["raw_path"], asked.scope["query_string"]
    return httpx.URL(
        scheme=scheme, host=LOOPBACK, port=port, raw_path=path + (b"?" + query if query else b"")
    )


def _kept(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in OF_THE_CONNECTION]


@contextmanager
def serving(app: Starlette, listening: socket.socket) -> Iterator[None]:
    """Serve in a thread on a socket that listens, and stop at the end."""
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="off", server_header=False, date_header=False)
    )
    thread = Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
