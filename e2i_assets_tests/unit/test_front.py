"""Dagit and the pages have one address, whichever it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from e2i_assets.cli.front import LOOPBACK, front, serving
from e2i_assets.cli.ports import listen
from e2i_assets.resources.store import ArtifactStore

LINK = f"/pages/qc_report/Fabhalta_c3g/{'0' * 16}/report.html"


async def echoed(request: Request) -> Response:
    """What reached Dagit's web server."""
    body = (await request.body()).decode()
    target = f"{request.scope['raw_path'].decode()}?{request.url.query}"
    response = PlainTextResponse(f"{request.method} {target} {body} {request.headers['host']}", 207)
    response.headers["X-Names"] = " ".join(request.headers)
    response.headers.append("Set-Cookie", "a=1")
    response.headers.append("Set-Cookie", "b=2")
    return response


async def echo(browser: WebSocket) -> None:
    await browser.accept("graphql-ws")
    async for text in browser.iter_text():
        if text == "leave":
            return
        await browser.send_text(f"{browser.url.path} {text}")


@contextmanager
def served(app: Starlette) -> Iterator[int]:
    with listen(LOOPBACK, 0) as listening, serving(app, listening):
        yield int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    root = tmp_path_factory.mktemp("artifacts")
    page = root / LINK.removeprefix("/pages/")
    page.parent.mkdir(parents=True)
    page.write_text("<title>Quality</title><body>fine</body>")
    return ArtifactStore(str(root))


@pytest.fixture(scope="module")
def dagit() -> Iterator[int]:
    methods = ["GET", "POST"]
    with served(
        Starlette(routes=[WebSocketRoute("/graphql", echo), Route("/{path:path}", echoed, methods=methods)])
    ) as port:
        yield port


@pytest.fixture(scope="module")
def address(store: ArtifactStore, dagit: int) -> Iterator[str]:
    with served(front(store, dagit)) as port:
        yield f"{LOOPBACK}:{port}"


def test_a_link_opens_its_page_whatever_the_port(store: ArtifactStore, dagit: int) -> None:
    ports = set()
    with listen(LOOPBACK, 0) as taken:
        for _ in range(2):
            with served(front(store, dagit)) as port:
                page = httpx.get(f"http://{LOOPBACK}:{port}").url.join(LINK)
                answer = httpx.get(page)
                assert (answer.status_code, "fine" in answer.text) == (200, True)
                assert "sandbox" in answer.headers["content-security-policy"]
            ports.add(port)
        assert taken.getsockname()[1] not in ports


def test_everything_else_is_dagits(address: str) -> None:
    response = httpx.post(f"http://{address}/a%2Fb/c%20d?x=%20y&z", content="{}")
    assert (response.status_code, response.text) == (207, f"POST /a%2Fb/c%20d?x=%20y&z {{}} {address}")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    # What one browser was given is not another's.
    assert "cookie" not in httpx.get(f"http://{address}/").request.headers


@pytest.mark.parametrize(
    "target", ["//elsewhere.example/x", "/%2F@elsewhere.example/", "/@elsewhere.example:80/"]
)
def test_nothing_is_asked_of_another_host(address: str, target: str) -> None:
    response = httpx.get(httpx.URL(f"http://{address}").copy_with(raw_path=target.encode()))
    assert response.text.startswith(f"GET {target}? ")


def test_live_messages_pass_both_ways_until_one_side_ends(address: str) -> None:
    with connect(
        f"ws://{address}/graphql", subprotocols=["graphql-ws"], max_size=None, proxy=None
    ) as browser:
        assert browser.subprotocol == "graphql-ws"
        for text in ("one", "two" * 1_000_000):
            browser.send(text)
            assert browser.recv(5) == f"/graphql {text}"
        browser.send("leave")
        assert list(browser) == []
    with pytest.raises(InvalidStatus), connect(f"ws://{address}/other", proxy=None):
        pass


def test_before_dagit_answers_the_address_says_so_and_pages_are_there(store: ArtifactStore) -> None:
    with listen(LOOPBACK, 0) as closed:
        nobody = int(closed.getsockname()[1])
    with served(front(store, nobody)) as port:
        response = httpx.get(f"http://{LOOPBACK}:{port}/runs")
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        assert "load this page again" in response.text
        assert httpx.get(f"http://{LOOPBACK}:{port}{LINK}").status_code == 200
        with pytest.raises(InvalidStatus), connect(f"ws://{LOOPBACK}:{port}/graphql", proxy=None):
            pass


SLOW = 120
"""Answers held open at once, more than a pool of the HTTP library has by itself."""


def test_answers_that_are_held_open_keep_no_other_waiting(store: ArtifactStore) -> None:
    async def endless(_: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.Event().wait()

        return StreamingResponse(parts())

    routes = [Route("/endless", endless), Route("/", echoed)]
    with (
        served(Starlette(routes=routes)) as dagit,
        served(front(store, dagit)) as port,
        ExitStack() as content,
    ):
        for _ in range(SLOW):
            browser = content.enter_context(socket.create_connection((LOOPBACK, port)))
            browser.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            browser.recv(1)
        assert httpx.get(f"http://{LOOPBACK}:{port}/", timeout=30).status_code == 207


def test_what_is_sent_passes_before_it_is_whole(store: ArtifactStore) -> None:
    """None of it is kept: Dagit has read the first part while the second is not there."""
    first = Event()

    async def reads(request: Request) -> Response:
        length = 0
        async for part in request.stream():
            length += len(part)
            first.set()
        return PlainTextResponse(str(length))

    def sent() -> Iterator[bytes]:
        yield b"x"
        assert first.wait(30)
        yield b"y"

    routes = [Route("/", reads, methods=["POST"])]
    with served(Starlette(routes=routes)) as dagit, served(front(store, dagit)) as port:
        assert httpx.post(f"http://{LOOPBACK}:{port}/", content=sent(), timeout=60).text == "2"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 421),
        ("GET", {"Host": "127.0.0.1.evil.example:3000"}, 421),
        ("GET", {"Host": "[::1"}, 421),
        ("GET", {"Host": "LOCALHOST:3000"}, 207),
        ("GET", {"Host": "[::1]:3000"}, 207),
        ("POST", {"Host": "localhost:3000", "Origin": "http://localhost:3000"}, 207),
        ("POST", {"Host": "localhost:3000", "Origin": "http://evil.example"}, 403),
        ("POST", {"Host": "localhost:3000", "Origin": "http://localhost:8888"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {}, 207),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 207),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 207),
    ],
)
def test_a_page_of_another_site_is_refused(
    address: str, method: str, headers: dict[str, str], status: int
) -> None:
    assert httpx.request(method, f"http://{address}/graphql2", headers=headers).status_code == status


def test_elsewhere_every_name_is_served_and_another_site_is_not(store: ArtifactStore, dagit: int) -> None:
    with served(front(store, dagit, "0.0.0.0")) as port:
        here = f"http://{LOOPBACK}:{port}/"
        assert httpx.get(here, headers={"Host": "team.example"}).status_code == 207
        foreign = {"Host": "team.example", "Origin": "http://evil.example"}
        assert httpx.post(here, headers=foreign).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_no_live_messages_for_another_site(address: str, origin: str) -> None:
    with (
        pytest.raises(InvalidStatus, match="403"),
        connect(f"ws://{address}/graphql", origin=Origin(origin), proxy=None),
    ):
        pass


def test_a_live_message_that_is_no_text_ends_the_conversation(address: str) -> None:
    own = Origin(f"http://{address}")
    with connect(
        f"ws://{address}/graphql", subprotocols=[Subprotocol("graphql-ws")], origin=own, proxy=None
    ) as browser:
        browser.send(b"\x00")
        with pytest.raises(ConnectionClosedError) as ended:
            browser.recv(5)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1003


def test_headers_for_one_connection_are_not_passed_on(address: str) -> None:
    def asked(*headers: str) -> bytes:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as browser:
            browser.sendall("\r\n".join(["GET / HTTP/1.1", *headers, "", ""]).encode())
            return browser.recv(65_536)

    assert asked("Host: localhost", "Host: evil.example").startswith(b"HTTP/1.1 400")
    text = asked("Host: localhost", "X-Other: b", "X-Own: a", "Connection: close, x-own")
    assert b"x-other" in text
    assert b"x-own" not in text
