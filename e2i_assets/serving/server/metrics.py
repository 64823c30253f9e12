"""What Prometheus is told: requests, latencies, errors and health of each model, and what they weigh."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from e2i_assets.observability.background import Background
from e2i_assets.serving.server.health import Level

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)
LEVELS: dict[Level, float] = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0}


class _Dropped:
    """Tells a counter that somebody else counts."""

    def __init__(self, service: str, background: Callable[[], Mapping[str, Background]]) -> None:
        self._service, self._background = service, background

    def describe(self) -> Iterable[Any]:
        """Nothing: who registers it does not have to ask."""
        return ()

    def collect(self) -> Iterable[Any]:
        """The counter as it is now."""
        from prometheus_client.core import CounterMetricFamily

        text = "Requests lost to the prediction log or the evidence of shadows, and spans lost"
        counter = CounterMetricFamily("e2i_model_dropped_requests", text, labels=("service", "log"))
        for name, background in self._background().items():
            counter.add_metric((self._service, name), background.dropped)
        yield counter


class Metrics:
    """The metrics of one service process.

    Args:
        service: name of the service, a label of all of them.
        health: asked when somebody reads the metrics: the level of each model.
        background: what is done beside the answering, asked likewise.
    """

    def __init__(
        self,
        service: str,
        health: Callable[[], dict[str, Level]],
        background: Callable[[], Mapping[str, Background]],
    ) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory among others: process_resident_memory_bytes
        common: dict[str, Any] = {"registry": self.registry}
        labels = ("service", "model", "endpoint")
        self._service, self._health = service, health
        self._requests = Counter(
            "e2i_model_requests", "Requests answered, by HTTP status", (*labels, "status"), **common
        )
        self._latency = Histogram(
            "e2i_model_request_latency_seconds",
            "Seconds from a request's arrival to its answer",
            labels,
            buckets=BUCKETS,
            **common,
        )
        self._errors = Counter(
            "e2i_model_errors",
            "Requests refused (client) or failed (server, overload)",
            (*labels, "error_type"),
            **common,
        )
        self._level = Gauge(
            "e2i_model_health_status",
            "1 healthy, 0.5 degraded, 0 unhealthy, by the requests of the last five minutes",
            ("service", "model"),
            **common,
        )
        self._load = Gauge(
            "e2i_model_load_seconds",
            "Seconds that loading and checking took",
            ("service", "model", "version"),
            **common,
        )
        self.registry.register(_Dropped(service, background))
        self._children: dict[tuple[str, str, int], tuple[Any, Any, Any]] = {}

    def loaded(self, model: str, version: str, seconds: float) -> None:
        """A model was loaded."""
        self._load.labels(self._service, model, version).set(seconds)

    def count(self, model: str, endpoint: str, status: int, seconds: float) -> None:
        """A request was answered; `model` is empty where the request named none that is served."""
        key = (model, endpoint, status)
        if (children := self._children.get(key)) is None:
            children = self._children[key] = self._of(*key)
        requests, latency, errors = children
        requests.inc()
        latency.observe(seconds)
        if errors is not None:
            errors.inc()

    def _of(self, model: str, endpoint: str, status: int) -> tuple[Any, Any, Any]:
        labels = (self._service, model, endpoint)
        errors = None
        if status >= 400:
            kind = "client" if status < 500 else "overload" if status == 503 else "server"
            errors = self._errors.labels(*labels, kind)
        return self._requests.labels(*labels, str(status)), self._latency.labels(*labels), errors

    def page(self) -> tuple[bytes, str]:
        """The text that Prometheus reads, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        for model, level in self._health().items():
            self._level.labels(self._service, model).set(LEVELS[level])
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
