"""What the client does with what comes back, without and with `await`."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pytest

from e2i_assets.serving import client as client_module
from e2i_assets.serving.client import BentoMLClient, PredictionRefused, ServiceUnavailable, SyncBentoMLClient

ANSWER = {"predictions": [0.7], "probabilities": [[0.3, 0.7]]}
FIRST, SECOND = "http://first:1", "http://second:2"
OK = (200, ANSWER)
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(client_module.asyncio, "sleep", sleep)
    monkeypatch.setattr(client_module.time, "sleep", slept.append)
    return slept


class Services:
    """Answers of each host in their order; the last one again and again."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        left = self.answers[request.url.host]
        came = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(came, type):
            raise came("no")
        status, body = came
        return httpx.Response(status, json=body)

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request in self.requests]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Asks a client of either kind some things, one after the other, and gives the last answer."""

    def asked(services: Services, *calls: tuple[str, dict[str, Any]], **options: Any) -> dict[str, Any]:
        options = {"urls": [FIRST, SECOND], "transport": httpx.MockTransport(services)} | options
        if request.param == "sync":
            with SyncBentoMLClient(**options) as client:
                return [getattr(client, name)(**arguments) for name, arguments in calls][-1]

        async def run() -> dict[str, Any]:
            async with BentoMLClient(**options) as client:
                return [await getattr(client, name)(**arguments) for name, arguments in calls][-1]

        return asyncio.run(run())

    return asked


PREDICT = ("predict", {"model_name": "churn_model", "features": {"tenure": 12}})
BATCH = ("predict_batch", {"model_name": "churn_model", "features_list": [{"tenure": 12}, {"tenure": 24}]})


def test_it_asks_as_the_guide_does(ask: Ask) -> None:
    services = Services(first=[OK])
    assert ask(services, PREDICT, BATCH) == ANSWER
    one, many = services.requests
    assert (str(one.url), str(many.url)) == (
        f"{FIRST}/churn_model/predict",
        f"{FIRST}/churn_model/predict_batch",
    )
    assert json.loads(one.content)["features"] == {"tenure": 12}
    assert json.loads(many.content)["features_list"] == [{"tenure": 12}, {"tenure": 24}]
    assert one.headers["X-Request-Id"] != many.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../m", "..%2Fm"),
        ("m/predict_batch#", "m%2Fpredict_batch%23"),
        ("m?", "m%3F"),
        ("m\n\ud800", "m%0A%3F"),
    ],
)
def test_a_name_is_no_path(ask: Ask, name: str, path: str) -> None:
    services = Services(first=[OK])
    assert ask(services, ("predict", {"model_name": name, "features": {}})) == ANSWER
    assert services.requests[0].url.raw_path.decode() == f"/{path}/predict"


def test_values_of_numpy_are_those_of_json_and_a_date_is_none(ask: Ask) -> None:
    services = Services(first=[OK])
    row = {"a": np.bool_(True), "b": np.int64(41), "c": np.float32(0.5), "d": Decimal("1.5")}
    assert ask(services, ("predict", {"model_name": "m", "features": row})) == ANSWER
    assert services.requests[0].content.startswith(b'{"features": {"a": true, "b": 41, "c": 0.5, "d": 1.5}')
    for wrong in (dt.date(2026, 1, 1), b"41"):
        with pytest.raises(TypeError, match=f"a {type(wrong).__name__} is no value of a feature"):
            ask(services, ("predict", {"model_name": "m", "features": {"a": wrong}}))


def test_it_remembers_who_has_a_model(ask: Ask) -> None:
    services = Services(first=[(404, {"error": "no such model"})], second=[OK])
    assert ask(services, PREDICT, PREDICT) == ANSWER
    assert services.hosts == ["first", "second", "second"]


@pytest.mark.parametrize("passing", [(503, {}), (502, {}), (504, {}), httpx.ConnectError, httpx.ReadTimeout])
def test_what_passes_is_asked_again_after_a_growing_pause(
    ask: Ask, pauses: list[float], passing: Any
) -> None:
    services = Services(first=[passing, passing, OK])
    assert ask(services, PREDICT) == ANSWER
    assert len({request.headers["X-Request-Id"] for request in services.requests}) == 1
    assert pauses == [pytest.approx(0.5, rel=0.1), pytest.approx(1, rel=0.1)]


@pytest.mark.parametrize(
    ("came", "error", "times", "text"),
    [
        (
            (400, {"error": "features.tenure: Input should be a valid number"}),
            PredictionRefused,
            1,
            "features.tenure",
        ),
        ((500, {}), ServiceUnavailable, 1, "500"),
        ((503, {"error": "overloaded"}), ServiceUnavailable, 3, "overloaded"),
    ],
)
def test_what_does_not_pass_is_an_error(
    ask: Ask, came: Any, error: type[Exception], times: int, text: str
) -> None:
    services = Services(first=[came], second=[OK])
    with pytest.raises(error, match=text):
        ask(services, PREDICT, retries=2)
    assert services.hosts == ["first"] * times


def test_a_model_may_be_where_nobody_answers(ask: Ask) -> None:
    services = Services(first=[httpx.ConnectError], second=[(404, {"error": "no such model"})])
    with pytest.raises(ServiceUnavailable, match="first:1"):
        ask(services, PREDICT, retries=0)
    assert services.hosts == ["first", "second"]
