"""Requests for predictions, and their answers."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from e2i_assets.serving.server.admission import JSON, Admission
from e2i_assets.serving.server.model import Model
from e2i_assets.serving.server.request_schema import Row
from e2i_assets.serving.server.running import Refused, Service

_TYPE = (b"content-type", JSON.encode())


class Predictions:
    """Answers requests for predictions, one row or a batch: an ASGI application."""

    def __init__(self, action: str) -> None:
        self.endpoint, self.batch = f"/{action}", action == "predict_batch"
        self.app: ASGIApp = Admission(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count what was answered, whoever it was that did."""
        start = time.perf_counter()
        service: Service = scope["app"].state.service
        headers = dict(scope["headers"])
        asked = scope["e2i"] = {"start": start, "headers": headers, "model": None, "rows": None}
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            service.count(asked["model"], self.endpoint, status, start)
            service.tracing.note(asked, self.endpoint, status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, service = scope["e2i"], scope["app"].state.service
        content = (await receive()).get("body", b"")
        try:
            model, body = self._read(service, scope["path_params"].get("model_name"), content, asked)
        except Refused as refused:
            answer: dict[str, Any] = {"error": refused.error}
            if refused.detail:
                answer["detail"] = refused.detail
            await _send(send, refused.status, to_json(answer))
            return
        if model.quick and not self.batch and not body.explain:
            text = self._predicted(service, model, body, scope)
        else:  # as long as that takes, health is told and others are answered
            text = await run_in_threadpool(self._predicted, service, model, body, scope)
        await _send(send, 200, text)

    def _predicted(self, service: Service, model: Model, body: Any, scope: Scope) -> bytes:
        rows: Sequence[Row] = body.features_list if self.batch else [body.features]
        scope["e2i"]["rows"] = len(rows)
        try:
            given, answer = model.answer(rows, scope["e2i"]["start"], explain=body.explain)
        except Exception:
            service.remember_failure(model, rows, scope)
            raise
        if service.watched:
            journeys = body.patient_journey_ids if self.batch else [body.patient_journey_id]
            service.remember(model, rows, journeys, given, answer, scope)
        return to_json(answer)

    def _read(
        self, service: Service, path_name: str | None, content: bytes, asked: dict[str, Any]
    ) -> tuple[Model, Any]:
        """The model that is asked, and what it is asked."""
        try:
            parsed = from_json(content)
        except ValueError as error:
            raise Refused(400, f"the body is no JSON: {error}") from None
        model = service.model_of(path_name, parsed)
        asked["model"] = model
        try:
            body = (model.batch_request if self.batch else model.request).model_validate(parsed)
        except ValidationError as error:
            detail = error.errors(include_url=False, include_context=False, include_input=False)
            place = ".".join(map(str, detail[0]["loc"])) or "the body"
            more = f", and {len(detail) - 1} more" if len(detail) > 1 else ""
            raise Refused(400, f"{place}: {detail[0]['msg']}{more}", detail) from None  # type: ignore[arg-type]
        rows = parsed["features_list"] if self.batch else [parsed["features"]]
        if content.count(b":") > len(parsed) + sum(map(len, rows)):  # or one is in a text
            json.loads(content, object_pairs_hook=_each_once)
        return model, body


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    """Check that an object names nothing twice: which value is meant nobody knows.

    Raises:
        Refused: it does; what is named is known by then.
    """
    named = set[str]()
    for name, _ in pairs:
        if name in named:
            detail = [{"type": "named_twice", "loc": [name], "msg": "Input should be given once"}]
            raise Refused(400, f"{name}: Input should be given once", detail)
        named.add(name)


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [_TYPE, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
