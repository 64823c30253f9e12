"""What a service answers under which path."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from e2i_assets.observability.background import Background
from e2i_assets.serving.server.health import Health, Level, health_of
from e2i_assets.serving.server.openapi import document
from e2i_assets.serving.server.predictions import Predictions
from e2i_assets.serving.server.running import Service

ACTIVE_FILE = "E2I_ACTIVE_FILE"
"""Variable with the path of a file; while it exists, the service says that it is the one to be asked."""
_GETS = {
    "/health": ("How the models do, by the last five minutes", (200,)),
    "/active": ("Whether this process is the one to be asked", (200, 503)),
    "/model_info": ("What the models are, and the features that they want", (200, 404)),
    "/metrics": ("For Prometheus", (200,)),
    "/openapi.json": ("This document", (200,)),
}


def _told(health: Health) -> dict[str, Any]:
    return {
        "status": health.status,
        "requests": health.requests,
        "error_rate": round(health.error_rate, 6),
        "latency_ms": health.latency_ms,
    }


def _written(background: Background | None) -> dict[str, Any]:
    """How writing down goes: it makes no answer worse, so no model less healthy."""
    if background is None:
        return {"status": "off"}
    status = "written" if background.available else "waiting for the database"
    return {"status": status, "waiting": background.waiting, "dropped": background.dropped}


_WORST: dict[Level, int] = {"healthy": 0, "degraded": 1, "unhealthy": 2}


async def health(request: Request) -> JSONResponse:
    """Level of the service and of each model; a process that failed its self-check never answers."""
    service: Service = request.app.state.service
    of_models = {
        name: {"version": model.version, "stage": model.stage, **_told(service.windows[name].health())}
        for name, model in service.models.items()
    }
    whole = health_of(service.windows.values())
    levels = [whole.status, *(level["status"] for level in of_models.values())]
    only = next(iter(service.models.values())) if len(service.models) == 1 else None
    return JSONResponse(
        {
            **_told(whole),
            "status": max(levels, key=_WORST.__getitem__),
            "service": service.name,
            "release": service.release,
            **({"model_id": only.model_id} if only else {}),
            "models": of_models,
            "prediction_log": _written(service.background().get("prediction_log")),
            "shadow_evidence": _written(service.background().get("shadow_evidence")),
            "uptime_seconds": round(time.monotonic() - service.started, 3),
        }
    )


async def health_cate(request: Request) -> JSONResponse:
    """Whether effects are told: that on somebody of whom nothing is known, asked for now."""
    service: Service = request.app.state.service
    effects = {
        name: {"model_id": model.model_id, **await run_in_threadpool(model.nobody)}
        for name, model in service.models.items()
    }
    only = next(iter(effects.values())) if len(effects) == 1 else {"models": effects}
    return JSONResponse({"status": health_of(service.windows.values()).status, **only})


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
