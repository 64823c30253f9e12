"""The router as a process: it is there once it listens itself, or says why it does not."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from e2i_assets.cli.front import serving
from e2i_assets.cli.ports import free_port, listen
from e2i_assets.deployment import processes
from e2i_assets.deployment.releases import DeploymentError
from e2i_assets.deployment.router import LOOPBACK, Router, configuration
from e2i_assets_tests.deployment_world import until


def test_a_port_of_somebody_else_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    taken = free_port()
    with listen(LOOPBACK, taken):
        router = Router(tmp_path, configuration(LOOPBACK, {"s": taken}, {"s": (1, 2)}))
        with pytest.raises(DeploymentError, match=rf"{taken}: Address already in use") as refused:
            router.open()
        assert "E2I_CLASSIFICATION_PORT" in refused.value.next_step
        assert not processes.marked(router.mark)
    router.open()
    try:
        with socket.create_connection((LOOPBACK, taken)):
            assert not router.ensure()
        for process in processes.marked(router.mark):
            process.kill()
        until(lambda: router.ensure(), "it is started again")
    finally:
        router.stop()
    assert not processes.marked(router.mark)


def test_one_that_ends_as_soon_as_it_is_started_is_told_of_and_not_started_in_a_storm(tmp_path: Path) -> None:
    document = configuration(LOOPBACK, {"s": free_port()}, {"s": (1, 2)})
    document["apps"]["http"]["servers"]["s"]["routes"] = "no routes"
    router = Router(tmp_path, document)
    assert router.ensure()
    until(lambda: not processes.marked(router.mark), "it ended")
    with pytest.raises(DeploymentError, match=r"does not start: .*routes"):
        router.ensure()


def test_two_routers_do_not_share_a_port(tmp_path: Path) -> None:
    """The system would let them, and deal out requests to both installations."""
    document = configuration(LOOPBACK, {"s": free_port()}, {"s": (1, 2)})
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = Router(tmp_path / "one", document), Router(tmp_path / "other", document)
    one.open()
    try:
        with pytest.raises(DeploymentError, match=r"cannot listen on .*: Address already in use"):
            other.open()
        # Both looked before either was there.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Router, "_require_free", lambda _: None)
            with pytest.raises(DeploymentError, match=r"another process listens on port \d+, too"):
                other.open()
        assert not processes.marked(other.mark)
        assert not one.ensure()
    finally:
        one.stop()
        other.stop()


def test_a_page_of_another_site_is_answered_nothing(tmp_path: Path) -> None:
    """Neither asked by it, nor under a name of its own that leads here; a link to here opens."""
    port, asked = free_port(), []

    async def answered(request: Request) -> Response:
        asked.append((request.method, request.url.path))
        return PlainTextResponse("answered")

    own, foreign = f"http://127.0.0.1:{port}", {"Origin": "http://other.example"}
    page = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    with listen(LOOPBACK, 0) as behind:
        ports = (int(behind.getsockname()[1]), free_port())
        app = Starlette(routes=[Route("/{path:path}", answered, methods=["GET", "POST"])])
        router = Router(tmp_path, configuration(LOOPBACK, {"s": port}, {"s": ports}))
        with serving(app, behind), httpx.Client(base_url=own, timeout=30) as client:
            router.open()
            try:
                until(lambda: client.get("/active").status_code == 200, "the router has found who answers")
                asked.clear()
                statuses = [
                    client.request(method, path, headers=headers).status_code
                    for method, path, headers in (
                        ("GET", "/health", {"Host": "other.example"}),
                        ("GET", "/health", {"Host": f"other.example:{port}"}),
                        ("POST", "/m/predict", foreign),
                        ("POST", "/m/predict", foreign | page | {"Sec-Fetch-Mode": "navigate"}),
                        ("POST", "/m/predict", {"Origin": "null"}),
                        ("GET", "/health", page),
                    )
                ]
                assert statuses == [421, 421, 403, 403, 403, 403]
                assert {path for _, path in asked} <= {"/active"}
                assert client.post("/m/predict", headers={"Origin": own}).status_code == 200
                assert client.get("/health", headers={"Host": f"localhost:{port}"}).status_code == 200
                opened = client.get("/", headers=page | {"Sec-Fetch-Mode": "navigate"})
                assert opened.status_code == 200
                assert opened.headers["content-security-policy"].startswith("default-src 'self'")
            finally:
                router.stop()
