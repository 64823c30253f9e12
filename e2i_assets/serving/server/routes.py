"""What a service answers under which path."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from e2i_assets.serving.server.admission import JSON, Admission
from e2i_assets.serving.server.health import Health, Level, Window, health_of
from e2i_assets.serving.server.metrics import Metrics
from e2i_assets.serving.server.model import Model
from e2i_assets.serving.server.openapi import document

ACTIVE_FILE = "E2I_ACTIVE_FILE"
"""Variable with the path of a file; while it exists, the service says that it is the one to be asked."""
_GETS = {
    "/health": ("How the models do, by the last five minutes", (200,)),
    "/active": ("Whether this process is the one to be asked", (200, 503)),
    "/model_info": ("What the models are, and the features that they want", (200, 404)),
    "/metrics": ("For Prometheus", (200,)),
    "/openapi.json": ("This document", (200,)),
}


class Refused(Exception):
    """A request that is answered with a 4xx."""

    def __init__(self, status: int, error: str, detail: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(error)
        self.status, self.error, self.detail = status, error, detail


class Service:
    """The models of one process and what they were asked."""

    def __init__(self, name: str, release: str, models: Sequence[Model]) -> None:
        self.name, self.release = name, release
        self.models = {model.name: model for model in models}
        self.started = time.monotonic()
        self.windows = {name: Window() for name in ("", *self.models)}
        self.metrics = Metrics(name, lambda: {n: w.health().status for n, w in self.windows.items() if n})
        for model in models:
            self.metrics.loaded(model.name, model.version, model.load_seconds)

    def model_of(self, path_name: str | None, body: Any) -> Model:
        """Which model a request is for.

        Raises:
            Refused: it names none that is served here, or none where there are several.
        """
        body_name = body.get("model_name") if isinstance(body, dict) else None
        name = path_name or body_name or (next(iter(self.models)) if len(self.models) == 1 else None)
        if isinstance(name, str) and name in self.models:
            return self.models[name]
        known = f"one of {', '.join(self.models)}"
        detail = [{"type": "unknown_model", "loc": ["model_name"], "msg": f"Input should be {known}"}]
        if name is None:
            raise Refused(400, f"model_name: name the model, {known}", detail)
        raise Refused(404, f"model_name: no such model is served here; {known} is", detail)

    def count(self, model: str, endpoint: str, status: int, start: float) -> None:
        """A request was answered."""
        seconds = time.perf_counter() - start
        self.metrics.count(model, endpoint, status, seconds)
        self.windows[model].add(seconds, error=status >= 500)


class Predictions:
    """Answers requests for predictions, one row or a batch: an ASGI application."""

    def __init__(self, action: str) -> None:
        self.endpoint, self.batch = f"/{action}", action == "predict_batch"
        self.app: ASGIApp = Admission(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count what was answered, whoever it was that did."""
        start = time.perf_counter()
        service: Service = scope["app"].state.service
        asked = scope["e2i"] = {"start": start, "model": ""}
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

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, service = scope["e2i"], scope["app"].state.service
        body = (await receive()).get("body", b"")
        try:
            model, rows = self._read(service, scope["path_params"].get("model_name"), body, asked)
        except Refused as refused:
            told: dict[str, Any] = {"error": refused.error}
            if refused.detail:
                told["detail"] = refused.detail
            await _send(send, refused.status, to_json(told))
            return
        if model.quick and not self.batch:
            answer = to_json(model.answer(rows, asked["start"]))
        else:  # as long as that takes, health is told and others are answered
            answer = await run_in_threadpool(lambda: to_json(model.answer(rows, asked["start"])))
        await _send(send, 200, answer)

    def _read(
        self, service: Service, path_name: str | None, body: bytes, asked: dict[str, Any]
    ) -> tuple[Model, Sequence[Any]]:
        """The model that is asked, and the rows."""
        try:
            parsed = from_json(body)
        except ValueError as error:
            raise Refused(400, f"the body is no JSON: {error}") from None
        model = service.model_of(path_name, parsed)
        asked["model"] = model.name
        try:
            if self.batch:
                return model, model.batch_request.model_validate(parsed).features_list  # type: ignore[attr-defined]
            return model, [model.request.model_validate(parsed).features]  # type: ignore[attr-defined]
        except ValidationError as error:
            detail = error.errors(include_url=False, include_context=False, include_input=False)
            place = ".".join(map(str, detail[0]["loc"])) or "the body"
            more = f", and {len(detail) - 1} more" if len(detail) > 1 else ""
            raise Refused(400, f"{place}: {detail[0]['msg']}{more}", detail) from None  # type: ignore[arg-type]


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", JSON.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _told(health: Health) -> dict[str, Any]:
    return {
        "status": health.status,
        "requests": health.requests,
        "error_rate": round(health.error_rate, 6),
        "latency_ms": health.latency_ms,
    }


_WORST: dict[Level, int] = {"healthy": 0, "degraded": 1, "unhealthy": 2}


async def health(request: Request) -> JSONResponse:
    """Level of the service and of each model; a process that failed its self-check never answers."""
    service: Service = request.app.state.service
    of_models = {
        name: {"version": model.version, "stage": model.stage, **_told(service.windows[name].health())}
        for name, model in service.models.items()
    }
    whole = health_of(service.windows.values())
    levels = [whole.status, *(told["status"] for told in of_models.values())]
    only = next(iter(service.models.values())) if len(service.models) == 1 else None
    return JSONResponse(
        {
            **_told(whole),
            "status": max(levels, key=_WORST.__getitem__),
            "service": service.name,
            "release": service.release,
            **({"model_id": only.model_id} if only else {}),
            "models": of_models,
            "uptime_seconds": round(time.monotonic() - service.started, 3),
        }
    )


async def health_cate(request: Request) -> JSONResponse:
    """Whether effects are told: that on somebody of whom nothing is known, asked for now."""
    models: dict[str, Model] = request.app.state.service.models
    told = {
        name: {"model_id": model.model_id, **await run_in_threadpool(model.nobody)}
        for name, model in models.items()
    }
    only = next(iter(told.values())) if len(told) == 1 else {"models": told}
    return JSONResponse({"status": "healthy", **only})


async def active(_: Request) -> Response:
    """200 where this process is to be asked, 503 where another one is."""
    path = os.environ.get(ACTIVE_FILE)
    is_active = not path or Path(path).exists()
    return JSONResponse({"active": is_active}, 200 if is_active else 503)


async def model_info(request: Request) -> JSONResponse:
    """What a model is, named by `?model_name=`; all of them where none is named."""
    service: Service = request.app.state.service
    name = request.query_params.get("model_name")
    if name is not None and name not in service.models:
        known = ", ".join(service.models)
        return JSONResponse({"error": f"model_name: no such model is served here; one of {known} is"}, 404)
    if name is None and len(service.models) > 1:
        return JSONResponse({"models": [model.info() for model in service.models.values()]})
    return JSONResponse(service.models[name or next(iter(service.models))].info())


async def metrics(request: Request) -> Response:
    """Prometheus' text."""
    page, kind = request.app.state.service.metrics.page()
    return Response(page, media_type=kind)


async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    service: Service = request.app.state.service
    return JSONResponse(document(service.name, service.release, list(service.models.values()), _GETS))


def routes(*, effects: bool) -> list[Route]:
    """All routes of a service; `effects` where its models tell effects."""
    posts = [
        Route(path + action, Predictions(action), methods=["POST"])
        for action in ("predict", "predict_batch")
        for path in ("/", "/{model_name}/")
    ]
    gets = [
        Route("/active", active),
        Route("/health", health),
        Route("/metrics", metrics),
        Route("/model_info", model_info),
        *(Route(path, openapi) for path in ("/openapi.json", "/docs.json")),
    ]
    return [*posts, *gets, *([Route("/health/cate", health_cate)] if effects else [])]
