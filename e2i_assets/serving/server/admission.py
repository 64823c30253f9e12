"""Which requests are let in: JSON of a bounded size, and no more at a time than are soon answered.

Knows no other module of the package.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 4 * 2**20
"""Bytes of a request: a thousand rows of a hundred features with names of 30 characters."""
JSON = "application/json"
_JSON = JSON.encode()
MAX_AT_A_TIME = 32
"""Predictions that run or wait; a worker answers so many within a second."""


class Admission:
    """Answers what it does not let in: 415 a body that is no JSON, 413 one too large, 503 one too many.

    Only requests with a body to predict from are counted; health and model are always told.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(dict(reversed(scope["headers"])))  # of one sent twice, the first counts
        body = b"" if refusal else await _body(receive)
        if body is None:
            refusal = _too_large()
        # Once more: reading took time, and a body that trickles in holds no place.
        if response := refusal or self._overload():
            await response(scope, receive, send)
            return
        self.inside += 1
        try:
            await self.app(scope, _again(body or b"", receive), send)
        finally:
            self.inside -= 1

    def _refusal(self, headers: Mapping[bytes, bytes]) -> JSONResponse | None:
        """The answer to what the head of a request tells already."""
        kind = headers.get(b"content-type", _JSON).partition(b";")[0].strip().lower()
        if kind != _JSON:
            return JSONResponse({"error": f"Content-Type: must be {JSON}"}, status_code=415)
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > MAX_BODY:
            return _too_large()
        return self._overload()

    def _overload(self) -> JSONResponse | None:
        if self.inside < MAX_AT_A_TIME:
            return None
        error = f"overloaded: {MAX_AT_A_TIME} requests are being answered; try again in a second"
        return JSONResponse({"error": error}, status_code=503, headers={"Retry-After": "1"})


def _too_large() -> JSONResponse:
    error = f"the body is larger than {MAX_BODY} bytes; send fewer rows at a time"
    return JSONResponse({"error": error}, status_code=413)


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None where it is too large or its sender is gone."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hands out a body that has been read, then whatever comes after it."""
    read = False

    async def replay() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
