"""The models of a process, what they were asked, and who writes it down."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from starlette.types import Scope

from e2i_assets.observability.background import Background
from e2i_assets.serving.server.health import Window
from e2i_assets.serving.server.metrics import Metrics
from e2i_assets.serving.server.model import Model
from e2i_assets.serving.server.prediction_log import Answered, PredictionLog
from e2i_assets.serving.server.request_schema import Row
from e2i_assets.serving.server.shadow import Asked, Shadows
from e2i_assets.serving.server.tracing import PROBE, Tracing

LOG_URL = "E2I_PREDICTION_LOG_URL"
"""Variable with the URL of the PostgreSQL that keeps predictions, spans and evidence of shadows."""
REQUEST_ID = b"x-request-id"
"""Header by which a client names a request, the same when it sends it again: it is logged once."""
REQUEST_IDS = re.compile("[A-Za-z0-9._-]{1,64}")


class Refused(Exception):
    """A request that is answered with a 4xx."""

    def __init__(self, status: int, error: str, detail: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(error)
        self.status, self.error, self.detail = status, error, detail


class Service:
    """The models of one process and what they were asked."""

    def __init__(
        self, name: str, release: str, models: Sequence[Model], shadows: Sequence[Model] = ()
    ) -> None:
        self.name, self.release = name, release
        self.models = {model.name: model for model in models}
        self.started = time.monotonic()
        self.windows = {name: Window() for name in ("", *self.models)}
        self.metrics = Metrics(
            name, lambda: {n: w.health().status for n, w in self.windows.items() if n}, self.background
        )
        for model in (*models, *shadows):
            self.metrics.loaded(model.name, model.version, model.load_seconds)
        url = os.environ.get(LOG_URL)
        self.log = PredictionLog(url, name, release) if url else None
        # Also the one that answers where it is in shadow itself: there is no other way to its evidence.
        in_shadow = [model for model in (*models, *shadows) if model.stage == "shadow"]
        self.shadows = Shadows(in_shadow, url) if url and in_shadow else None
        self.tracing = Tracing(name, release, url, shadowed=frozenset(one.name for one in shadows))

    @property
    def watched(self) -> bool:
        """Whether anybody writes down what is answered."""
        return self.log is not None

    def background(self) -> dict[str, Background]:
        """What is done beside the answering of requests."""
        logs = {"prediction_log": self.log, "shadow_evidence": self.shadows}
        return {name: log.background for name, log in logs.items() if log} | self.tracing.sinks

    def close(self) -> None:
        """Write down what waits."""
        for log in (self.log, self.shadows, self.tracing):
            if log:
                log.close()

    def remember(
        self,
        model: Model,
        rows: Sequence[Row],
        journeys: Sequence[str | None] | None,
        given: Any,
        answer: Mapping[str, Any],
        scope: Scope,
    ) -> None:
        """Hand over what was answered to those who write it down; comes back at once."""
        headers = scope["e2i"]["headers"]
        if PROBE in headers:
            return
        if self.log:
            request_id = headers.get(REQUEST_ID, b"").decode("latin-1")
            if not REQUEST_IDS.fullmatch(request_id):
                request_id = uuid4().hex
            logged = rows if model.logged_features else ()
            self.log.offer(Answered(request_id, logged, journeys, answer, model.logged_features))
        if self.shadows and self.shadows.watch(model.name):
            self.shadows.offer(Asked(model.name, rows, model.figures(given)))

    def remember_failure(self, model: Model, rows: Sequence[Row], scope: Scope) -> None:
        """Hand over what could not be answered to the evidence; comes back at once."""
        if self.shadows and self.shadows.watch(model.name) and PROBE not in dict(scope["headers"]):
            self.shadows.offer(Asked(model.name, rows, None))

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

    def count(self, model: Model | None, endpoint: str, status: int, start: float) -> None:
        """A request was answered, or refused, by a model or before it came to one."""
        name, seconds = model.name if model else "", time.perf_counter() - start
        self.metrics.count(name, endpoint, status, seconds)
        self.windows[name].add(seconds, error=status >= 500)
