"""Dagit and the pages have one address, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from e2i_assets.cli.front import LOOPBACK, front, serving
from e2i_assets.cli.up import listen
from e2i_assets.resources.store import ArtifactStore

LINK = f"/pages/qc_report/Fabhalta_c3g/{'0' * 16}/report.html"


async def told(request: Request) -> Response:
    """What reached Dagit's web server."""
    body = (await request.body()).decode()
    target = f"{request.scope['raw_path'].decode()}?{request.url.query}"
    said = PlainTextResponse(f"{request.method} {target} {body} {request.headers['host']}", 207)
    said.headers.append("Set-Cookie", "a=1")
    said.headers.append("Set-Cookie", "b=2")
    return said


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
        Starlette(routes=[WebSocketRoute("/graphql", echo), Route("/{path:path}", told, methods=methods)])
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
    said = httpx.post(f"http://{address}/a%2Fb/c%20d?x=%20y&z", content="{}")
    assert (said.status_code, said.text) == (207, f"POST /a%2Fb/c%20d?x=%20y&z {{}} {address}")
    assert said.headers.get_list("set-cookie") == ["a=1", "b=2"]
    # What one browser was given is not another's.
    assert "cookie" not in httpx.get(f"http://{address}/").request.headers


@pytest.mark.parametrize(
    "target", ["//elsewhere.example/x", "/%2F@elsewhere.example/", "/@elsewhere.example:80/"]
)
def test_nothing_is_asked_of_another_host(address: str, target: str) -> None:
    said = httpx.get(httpx.URL(f"http://{address}").copy_with(raw_path=target.encode()))
    assert said.text.startswith(f"GET {target}? ")


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
        said = httpx.get(f"http://{LOOPBACK}:{port}/runs")
        assert (said.status_code, said.headers["retry-after"]) == (503, "2")
        assert "load this page again" in said.text
        assert httpx.get(f"http://{LOOPBACK}:{port}{LINK}").status_code == 200
        with pytest.raises(InvalidStatus), connect(f"ws://{LOOPBACK}:{port}/graphql", proxy=None):
            pass
