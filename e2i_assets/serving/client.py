"""Asks running services for predictions: `BentoMLClient` with await, `SyncBentoMLClient` without."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Generator, Mapping, Sequence
from numbers import Number
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from e2i_assets.errors import E2IError

URLS = "E2I_SERVICE_URLS"
"""Variable with the addresses of the services, separated by spaces."""
DEFAULT_URLS = ("http://127.0.0.1:3001", "http://127.0.0.1:3002", "http://127.0.0.1:3003")
TIMEOUT_S, RETRIES, BACKOFF_S, LONGEST_PAUSE_S = 10.0, 3, 0.5, 8.0
CONNECTIONS = 20
AGAIN = frozenset({502, 503, 504})
"""Statuses that pass: no answer was made, or somebody is being replaced. A 500 would be one again."""

Features = Mapping[str, float | bool | str | None]
_Steps = Generator[httpx.Request | float, httpx.Response | httpx.TransportError | None, dict[str, Any]]


class PredictionRefused(E2IError, ValueError):
    """A service does not answer what it is asked (4xx); asking again would not help."""

    code = "prediction_refused"
    next_step = "Mend what the message names; GET /model_info of the service tells the features."


class ServiceUnavailable(E2IError, RuntimeError):
    """No service answered, or one failed (5xx), also when it was asked again."""

    code = "service_unavailable"
    next_step = "See GET /health of the service, and whether E2I_SERVICE_URLS names it."


class _Client:
    """What both clients do: which request is next, given what came of the last one.

    Args:
        urls: addresses of the services; `E2I_SERVICE_URLS`, or those of this machine, where none are given.
            Which of them has a model is found out when it is first asked for.
        timeout: seconds until an answer, of each attempt.
        retries: attempts after the first, where the connection failed or the status is one of `AGAIN`; pauses
            double from half a second on, with some chance in them. A prediction changes nothing, so asking
            twice is safe, and it is logged once.
    """

    def __init__(
        self,
        urls: Sequence[str] | None = None,
        *,
        timeout: float = TIMEOUT_S,
        retries: int = RETRIES,
        transport: Any = None,
    ) -> None:
        given = urls or os.environ.get(URLS, "").split() or DEFAULT_URLS
        self._urls = [url.rstrip("/") for url in given]
        self._retries, self._of_model = retries, dict[str, str]()
        self._options: dict[str, Any] = {
            "timeout": timeout,
            "limits": httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            "transport": transport,
        }

    def _one(
        self, model_name: str, features: Features, patient_journey_id: str | None, explain: bool
    ) -> _Steps:
        body = {"features": features, "patient_journey_id": patient_journey_id, "explain": explain}
        return self._asked(model_name, "predict", body)

    def _many(
        self, model_name: str, features_list: Sequence[Features], journeys: Sequence[str | None] | None
    ) -> _Steps:
        body = {"features_list": features_list, "patient_journey_ids": journeys}
        return self._asked(model_name, "predict_batch", body)

    def _asked(self, model_name: str, action: str, body: Mapping[str, Any]) -> _Steps:
        """Ask the service that had the model, then the others."""
        content = json.dumps(body, default=_plain).encode()
        headers = {"Content-Type": "application/json", "X-Request-Id": uuid4().hex}
        refusals, name = list[E2IError](), quote(model_name, safe="", errors="replace")
        for url in sorted(self._urls, key=lambda url: url != self._of_model.get(model_name)):
            request = httpx.Request("POST", f"{url}/{name}/{action}", content=content, headers=headers)
            came = yield from self._attempts(request)
            if isinstance(came, httpx.Response) and came.is_success:
                self._of_model[model_name] = url
                return came.json()
            refusals.append(_refusal(request, came))
            if isinstance(came, httpx.Response) and came.status_code != 404:
                break
        # Where one cannot be reached, the model may be there.
        raise next((one for one in refusals if isinstance(one, ServiceUnavailable)), refusals[-1])

    def _attempts(self, request: httpx.Request) -> Generator[Any, Any, httpx.Response | httpx.TransportError]:
        for attempt in range(self._retries + 1):
            came = yield request
            if isinstance(came, httpx.Response) and came.status_code not in AGAIN:
                return came
            if attempt < self._retries:
                yield min(BACKOFF_S * 2**attempt, LONGEST_PAUSE_S) * random.uniform(0.9, 1.1)
        return came


def _plain(value: Any) -> Any:
    """A value of a feature as JSON has it, where it is numpy's.

    Raises:
        TypeError: it is none of a feature.
    """
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Number):
        return float(value)  # type: ignore[arg-type]
    raise TypeError(
        f"a {type(value).__name__} is no value of a feature: give a number, text, true or false, or None"
    )


def _refusal(request: httpx.Request, came: httpx.Response | httpx.TransportError) -> E2IError:
    if isinstance(came, httpx.TransportError):
        return ServiceUnavailable(f"{request.url}: {type(came).__name__}")
    try:
        text = came.json()["error"]
    except (ValueError, KeyError, TypeError):
        text = came.reason_phrase
    kind = PredictionRefused if came.is_client_error else ServiceUnavailable
    return kind(f"{request.url}: {came.status_code}: {text}")


class BentoMLClient(_Client):
    """Asks with `await`; connections are kept and used again. `async with`, or `aclose` at the end."""

    def __init__(self, urls: Sequence[str] | None = None, **options: Any) -> None:
        """Take the arguments of `_Client`."""
        super().__init__(urls, **options)
        self._http = httpx.AsyncClient(**self._options)

    async def predict(
        self,
        model_name: str,
        features: Features,
        *,
        patient_journey_id: str | None = None,
        explain: bool = False,
    ) -> dict[str, Any]:
        """The answer to one row of named features, as the service gives it; with `explain`, what each of them
        adds to the model's score.

        Raises:
            PredictionRefused: 4xx; the message names the field.
            ServiceUnavailable: nobody answered.
        """
        return await self._run(self._one(model_name, features, patient_journey_id, explain))

    async def predict_batch(
        self,
        model_name: str,
        features_list: Sequence[Features],
        *,
        patient_journey_ids: Sequence[str | None] | None = None,
    ) -> dict[str, Any]:
        """The answer to 1 to 1000 rows, in their order; errors as of `predict`."""
        return await self._run(self._many(model_name, features_list, patient_journey_ids))

    async def _run(self, steps: _Steps) -> dict[str, Any]:
        came: httpx.Response | httpx.TransportError | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as end:
                return end.value
            if isinstance(step, float):
                await asyncio.sleep(step)
                came = None
                continue
            try:
                came = await self._http.send(step)
            except httpx.TransportError as error:
                came = error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class SyncBentoMLClient(_Client):
    """The same without `await`. `with`, or `close` at the end."""

    def __init__(self, urls: Sequence[str] | None = None, **options: Any) -> None:
        """Take the arguments of `_Client`."""
        super().__init__(urls, **options)
        self._http = httpx.Client(**self._options)

    def predict(
        self,
        model_name: str,
        features: Features,
        *,
        patient_journey_id: str | None = None,
        explain: bool = False,
    ) -> dict[str, Any]:
        """As `BentoMLClient.predict`."""
        return self._run(self._one(model_name, features, patient_journey_id, explain))

    def predict_batch(
        self,
        model_name: str,
        features_list: Sequence[Features],
        *,
        patient_journey_ids: Sequence[str | None] | None = None,
    ) -> dict[str, Any]:
        """As `BentoMLClient.predict_batch`."""
        return self._run(self._many(model_name, features_list, patient_journey_ids))

    def _run(self, steps: _Steps) -> dict[str, Any]:
        came: httpx.Response | httpx.TransportError | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as end:
                return end.value
            if isinstance(step, float):
                time.sleep(step)
                came = None
                continue
            try:
                came = self._http.send(step)
            except httpx.TransportError as error:
                came = error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
