"""Whom the addresses of `e2i up` answer: no other site that happens to be open in the same browser."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from e2i_assets.addresses import THIS_MACHINE, is_loopback

ELSEWHERE = {"cross-site", "same-site"}
"""What a browser says in Sec-Fetch-Site of a page of another site, or of another port of this machine."""


class OwnSite:
    """Refuses what a page of another site asks, before Dagit, which has no login, does it.

    Dagit executes what a GET asks too, so a picture of another site could start a run. A link to Dagit opens.
    On loopback a name of somebody else's that leads here (DNS rebinding) is refused too; where the address
    is another one its names are not known.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = THIS_MACHINE | {host} if is_loopback(host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have the application answer."""
        if refused := self._refused(scope, Headers(scope=scope)):
            await PlainTextResponse(f"{refused[1]}\n", refused[0])(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and reason; None where the request is served."""
        hosts = headers.getlist("host")
        if len(hosts) > 1:
            return 400, "More than one Host."
        host = hosts[0].lower() if hosts else ""
        if self._names is not None and _name(f"//{host}") not in self._names:
            return 421, "This listens on its own machine alone: open it as http://localhost, with the port."
        live = scope["type"] == "websocket"
        asks = not live and scope["method"] in ("GET", "HEAD")
        origin = headers.get("origin")
        if origin is not None and not asks and _place(origin) != host:
            return 403, "A page of another site may not ask this."
        opened = asks and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in ELSEWHERE and not opened:
            return 403, "A page of another site may not ask this."
        return None


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
