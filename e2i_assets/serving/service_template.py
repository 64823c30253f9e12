"""The service inside a bundle; copied there as `service.py` beside `schema.json`.

It knows nothing of the package that built it: the bundle carries all that it needs.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bentoml
from admission import Admission
from one_row import TOLERANCE, asked, compiled
from pydantic import BaseModel, ConfigDict, Field, create_model
from request_schema import Row, doubts, request_models, to_frame
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

HERE = Path(__file__).parent
SCHEMA: dict[str, Any] = json.loads((HERE / "schema.json").read_text(encoding="utf-8"))
PredictRequest, PredictBatchRequest = request_models(SCHEMA["features"])


class Metadata(BaseModel):
    """How an answer came about; `latency_ms` is the whole call, `prediction_time_ms` the pipeline's part."""

    model_name: str
    latency_ms: float
    timestamp: str
    warnings: list[str]


ANSWER: dict[str, Any] = SCHEMA["answer"]
_COLUMNS, _LABELS, _GIVES = ANSWER["columns"], ANSWER["labels"], ANSWER["gives"]
_FIELDS: dict[str, dict[str, Any]] = {
    "probability": {"predictions": (list[float], ...), "probabilities": (list[list[float]], ...)},
    "class": {"predictions": (list[str], ...), "probabilities": (list[dict[str, float]], ...)},
    "value": {"predictions": (list[float], ...)},
    "effect": {
        **dict.fromkeys(("predictions", "lower_bounds", "upper_bounds"), (list[float], ...)),
        **dict.fromkeys(("ate", "ate_std"), (float, ...)),
    },
}
_MEANS = {
    "probability": "the probability of the positive class, and the probabilities [negative, positive]",
    "class": "the most probable class, and the probability of each class",
    "value": "the predicted value",
    "effect": "the effect of the treatment with its 95 % interval, beside the average effect",
}
PredictResponse = create_model(
    "PredictResponse",
    __config__=ConfigDict(serialize_by_alias=True),
    __doc__=f"Per row: {_MEANS[_GIVES]}.",
    **_FIELDS[_GIVES],
    model_id=(str, ...),
    prediction_time_ms=(float, ...),
    metadata=(Metadata, Field(alias="_metadata")),
)


def _told(given: Any) -> dict[str, Any]:
    """What a client gets of what the pipeline gave for some rows."""
    if _GIVES == "value":
        return {"predictions": given.tolist()}
    if _GIVES == "effect":
        return _effects(given, ANSWER["line"])
    rows = given.tolist()
    if _GIVES == "probability":
        return {"predictions": [row[-1] for row in rows], "probabilities": rows}
    return {
        "predictions": [_LABELS[best] for best in given.argmax(axis=1)],
        "probabilities": [dict(zip(_LABELS, row, strict=True)) for row in rows],
    }


def _effects(given: Any, line: dict[str, float]) -> dict[str, Any]:
    """Effects with their intervals, by the line that was fitted on held-out patients."""
    beyond = given - line["centre"]
    effects = line["level"] + line["slope"] * beyond
    variance = line["var_level"] + 2 * line["cov"] * beyond + line["var_slope"] * beyond**2
    reach = line["reach"] * variance**0.5
    return {
        "predictions": effects.tolist(),
        "lower_bounds": (effects - reach).tolist(),
        "upper_bounds": (effects + reach).tolist(),
        "ate": line["average"],
        "ate_std": line["average_error"],
    }


async def health(_: Request) -> JSONResponse:
    """Status, model and uptime; a worker that failed its self-check never gets as far as answering."""
    uptime = time.monotonic() - bentoml.get_current_service().started
    return JSONResponse(
        {"status": "healthy", "model_id": SCHEMA["model_id"], "uptime_seconds": round(uptime, 3)}
    )


async def health_cate(_: Request) -> JSONResponse:
    """Whether effects are told: that on somebody of whom nothing is known, asked for now."""
    nobody = dict.fromkeys((feature["name"] for feature in SCHEMA["features"]), None)
    told = _told(bentoml.get_current_service().given([nobody]))
    return JSONResponse({"status": "healthy", "model_id": SCHEMA["model_id"], **told})


async def model_info(_: Request) -> JSONResponse:
    """What the model is: features, what it answers and the metadata recorded when it was built."""
    return JSONResponse({key: SCHEMA[key] for key in SCHEMA if key != "self_check"})


_ROUTES = [Route("/health", health), Route("/model_info", model_info)]
if _GIVES == "effect":
    _ROUTES.append(Route("/health/cate", health_cate))


@bentoml.asgi_app(Starlette(routes=_ROUTES))
@bentoml.service(
    name=SCHEMA["service"],
    resources={"cpu": "2", "memory": "4Gi"},
    traffic={"timeout": 30},
    http={"host": "127.0.0.1"},
    # Becomes a variable of the container image only: there, the loopback interface would reach nobody.
    envs=[{"name": "BENTOML_HOST", "value": "0.0.0.0"}],
)
class PredictionService:
    """Answers named features with predictions."""

    def __init__(self) -> None:
        # Imported by the workers only: the process that supervises them reads this file for its routes.
        import joblib

        self.pipeline = joblib.load(HERE / "pipeline.joblib")
        self.one_row = compiled(self.pipeline, ANSWER["method"]) if SCHEMA["one_row"] == "compiled" else None
        self.started = time.monotonic()
        self._check_self()

    def _check_self(self) -> None:
        """Refuse to serve when the libraries here do not give what was seen when building."""
        missing = dict.fromkeys((feature["name"] for feature in SCHEMA["features"]), None)
        given = [*self.given([missing]).ravel(), *self.given([missing, missing]).ravel()]
        for now, then in zip(given, 3 * SCHEMA["self_check"]["all_missing"], strict=True):
            if abs(now - then) > TOLERANCE * max(1.0, abs(then)):
                raise RuntimeError(
                    f"{SCHEMA['model_id']}: self-check failed, the pipeline does not give what it gave when "
                    "the bundle was built; install the versions in env/python/requirements.txt"
                )

    def given(self, rows: list[Row]) -> Any:
        """What the pipeline gives for each row: a number for each column of the answer, or one."""
        if self.one_row and len(rows) == 1:
            given = self.one_row(rows[0]).astype(float)
            return given[None, _COLUMNS] if _COLUMNS else given
        given = asked(self.pipeline, ANSWER["method"])(to_frame(SCHEMA["features"], rows)).astype(float)
        return given[:, _COLUMNS] if _COLUMNS else given

    def _answer(self, rows: list[Row]) -> BaseModel:
        start = time.perf_counter()
        warnings = doubts(SCHEMA["features"], rows)
        before = time.perf_counter()
        given = self.given(rows)
        end = time.perf_counter()
        return PredictResponse(
            **_told(given),
            model_id=SCHEMA["model_id"],
            prediction_time_ms=round(1000 * (end - before), 3),
            _metadata=Metadata(
                model_name=SCHEMA["model_name"],
                latency_ms=round(1000 * (end - start), 3),
                timestamp=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                warnings=warnings,
            ),
        )

    @bentoml.api(input_spec=PredictRequest, output_spec=PredictResponse)
    def predict(self, features: Row) -> BaseModel:
        """The prediction for one row of named features."""
        return self._answer([features])

    @bentoml.api(input_spec=PredictBatchRequest, output_spec=PredictResponse)
    def predict_batch(self, features_list: list[Row]) -> BaseModel:
        """Predictions for 1 to 1000 rows of named features, in their order."""
        return self._answer(features_list)


PredictionService.add_asgi_middleware(Admission)  # type: ignore[attr-defined]  # a Service by now
