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
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from e2i_assets.cli.own_site import OwnSite
from e2i_assets.cli.pages import pages_route
from e2i_assets.resources.store import ArtifactStore

LOOPBACK = "127.0.0.1"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
OF_THE_CONNECTION = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
}  # fmt: skip
"""Headers that are said to the next machine alone, as are those that `Connection` names (RFC 9110, 7.6.1)."""
TIMEOUTS = {"connect": 5.0, "write": 60.0, "read": 300.0}
"""Seconds that Dagit may take to accept, to read on and to answer on; what a browser takes is its affair."""
NO_TEXT = 1003
"""Code of a websocket that ends because of what is no text (RFC 6455, 7.4.1)."""

Headers = list[tuple[bytes, bytes]]


def front(store: ArtifactStore, port: int, host: str = LOOPBACK) -> Starlette:
    """An application that answers for the pages itself, and for everything else as Dagit does.

    Args:
        port: where Dagit's own web server listens, on the loopback interface alone.
        host: where this application is going to listen.
    """
    # The bare transport: a client would keep cookies, and ask the environment for a proxy.
    # Each answer that a browser leaves half read keeps a connection; all others are to be served meanwhile.
    transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=20))

    async def forward(request: Request) -> Response:
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        forwarded = httpx.Request(
            request.method, _upstream_url(request, "http", port), headers=_end_to_end(request.headers.raw),
            content=request.stream() if has_body else None, extensions={"timeout": TIMEOUTS},
        )  # fmt: skip
        try:
            received = await transport.handle_async_request(forwarded)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except httpx.TransportError:
            return PlainTextResponse(
                "Dagit does not answer. It needs some seconds to start: load this page again. If that does "
                "not help, read what `e2i up` says.\n",
                503,
                {"Retry-After": "2"},
            )
        answer = StreamingResponse(
            received.aiter_raw(), received.status_code, background=BackgroundTask(received.aclose)
        )
        answer.raw_headers = _end_to_end(received.headers.raw)
        return answer

    async def converse(browser: WebSocket) -> None:
        protocols = [Subprotocol(p) for p in browser.scope["subprotocols"]]
        with suppress(OSError, InvalidHandshake):  # unaccepted, the browser is told that it may not
            async with connect(
                str(_upstream_url(browser, "ws", port)),
                subprotocols=protocols or None,
                max_size=None,
                proxy=None,
            ) as dagit:
                await browser.accept(dagit.subprotocol)
                await _both_ways(browser, dagit)

    return Starlette(
        routes=[
            pages_route(store),
            Route("/{path:path}", forward, methods=METHODS),
            WebSocketRoute("/{path:path}", converse),
        ],
        middleware=[Middleware(OwnSite, host)],
    )


async def _both_ways(browser: WebSocket, server: ClientConnection) -> None:
    """Pass texts on until one side ends."""

    async def ask() -> None:
        while (message := await browser.receive())["type"] == "websocket.receive":
            if (text := message.get("text")) is None:
                await browser.close(NO_TEXT)
                return
            await server.send(text)

    async def answer() -> None:
        async for text in server:
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


def _upstream_url(request: Request | WebSocket, scheme: str, port: int) -> httpx.URL:
    """Path and query as they were asked for, not decoded, at Dagit's own web server and nowhere else."""
    path, query = request.scope["raw_path"], request.scope["query_string"]
    return httpx.URL(
        scheme=scheme, host=LOOPBACK, port=port, raw_path=path + (b"?" + query if query else b"")
    )


def _end_to_end(headers: Headers) -> Headers:
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    return [(name, value) for name, value in headers if name.lower() not in OF_THE_CONNECTION | named]


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
