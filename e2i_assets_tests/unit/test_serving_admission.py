"""Which requests a service lets in, tried on the ASGI application alone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from e2i_assets.serving.server.admission import MAX_AT_A_TIME, MAX_BODY, Admission


class Busy:
    """An application that answers when it is told to; counts the requests that reached it."""

    def __init__(self) -> None:
        self.reached = 0
        self.free = asyncio.Event()

    async def predict(self, request: Request) -> JSONResponse:
        self.reached += 1
        size = len(await request.body())
        await self.free.wait()
        return JSONResponse({"size": size})

    async def health(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "healthy"})

    def client(self) -> httpx.AsyncClient:
        routes = [Route("/predict", self.predict, methods=["POST"]), Route("/health", self.health)]
        transport = httpx.ASGITransport(Admission(Starlette(routes=routes)))
        return httpx.AsyncClient(transport=transport, base_url="http://service")


def test_above_the_limit_a_503_comes_at_once_and_health_is_told() -> None:
    async def scenario() -> None:
        busy = Busy()
        async with busy.client() as client:
            waiting = [asyncio.create_task(client.post("/predict", json={})) for _ in range(MAX_AT_A_TIME)]
            while busy.reached < MAX_AT_A_TIME:
                await asyncio.sleep(0)
            refused = await client.post("/predict", json={})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert "overloaded" in refused.json()["error"]
            assert (await client.get("/health")).status_code == 200
            busy.free.set()
            assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
            assert (await client.post("/predict", json={})).status_code == 200
            assert busy.reached == MAX_AT_A_TIME + 1

    asyncio.run(scenario())


async def _pieces(size: int) -> Any:
    for _ in range(size // 2**16):
        yield b" " * 2**16
    yield b" " * (size % 2**16)


@pytest.mark.parametrize("streamed", [False, True], ids=["declared", "streamed"])
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413), (0, 200)])
def test_a_body_above_the_limit_gets_a_413(streamed: bool, size: int, status: int) -> None:
    async def scenario() -> None:
        busy = Busy()
        busy.free.set()
        async with busy.client() as client:
            answer = await client.post("/predict", content=_pieces(size) if streamed else b" " * size)
            assert answer.status_code == status
            assert answer.json().get("size", size) == size
            assert busy.reached == (status == 200)

    asyncio.run(scenario())


def test_a_sender_who_leaves_holds_no_place() -> None:
    async def scenario() -> None:
        busy = Busy()
        admission = Admission(Starlette(routes=[Route("/predict", busy.predict, methods=["POST"])]))
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}

        async def gone() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def ignored(_: Any) -> None:
            pass

        await admission(scope, gone, ignored)
        assert (busy.reached, admission.inside) == (0, 0)

    asyncio.run(scenario())
