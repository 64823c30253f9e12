"""OpenAPI of a service: every path, and what the features of every model are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from e2i_assets.serving.server.answers import MEANS

if TYPE_CHECKING:
    from e2i_assets.serving.server.model import Model

_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_NUMBERS = {"type": "array", "items": _NUMBER}
_FIELDS: dict[str, dict[str, Any]] = {
    "probability": {"predictions": _NUMBERS, "probabilities": {"type": "array", "items": _NUMBERS}},
    "class": {
        "predictions": {"type": "array", "items": _TEXT},
        "probabilities": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": _NUMBER},
        },
    },
    "value": {"predictions": _NUMBERS},
    "effect": {
        **dict.fromkeys(("predictions", "lower_bounds", "upper_bounds"), _NUMBERS),
        **dict.fromkeys(("ate", "ate_std"), _NUMBER),
    },
}
_METADATA = {
    "model_name": _TEXT,
    "version": _TEXT,
    "stage": _TEXT,
    "latency_ms": _NUMBER,
    "timestamp": _TEXT,
    "warnings": {"type": "array", "items": _TEXT},
}
_CONTRIBUTION = {"anyOf": [_NUMBER, {"type": "object", "additionalProperties": _NUMBER}]}
"""A number, or of several classes one for each."""
_EXPLANATION = {
    "description": "Where the request asks to `explain`: what each feature adds to `base`, up to `score`",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "scale": _TEXT,
                "base": _CONTRIBUTION,
                "score": _CONTRIBUTION,
                "contributions": {"type": "object", "additionalProperties": _CONTRIBUTION},
            },
            "required": ["scale", "base", "score", "contributions"],
        },
        {"type": "object", "properties": {"unavailable": _TEXT}, "required": ["unavailable"]},
    ],
}
_ERROR = {
    "type": "object",
    "properties": {"error": _TEXT, "detail": {"type": "array", "items": {"type": "object"}}},
    "required": ["error"],
}
_REFUSALS = {
    "400": "A field is not as it must be; `detail` names it",
    "404": "No model of that name is served here",
    "413": "The body is too large",
    "415": "The body is no JSON",
    "503": "Too many requests at a time",
}


def document(
    service: str, release: str, models: Sequence[Model], gets: Mapping[str, tuple[str, Sequence[int]]]
) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        gets: path of what is read to what it tells, and the statuses that it has.
    """
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {
        path: {"get": {"summary": text, "responses": {str(status): _told({}) for status in statuses}}}
        for path, (text, statuses) in gets.items()
    }
    for action, text in (("predict", "one row"), ("predict_batch", "1 to 1000 rows, in their order")):
        bodies = {}
        for model in models:
            kind = model.request if action == "predict" else model.batch_request
            bodies[model.name] = _schema(schemas, model.name, kind)
            schemas[f"{model.name}.Answer"] = _answer(model)
            summary = f"Predictions of {model.name} for {text}"
            paths[f"/{model.name}/{action}"] = {
                "post": _post(summary, bodies[model.name], {"$ref": _ref(f"{model.name}.Answer")})
            }
        several = [{"$ref": _ref(f"{model.name}.Answer")} for model in models]
        paths[f"/{action}"] = {
            "post": _post(
                f"Predictions for {text}; the body names the model, or it is the only one",
                _one_of([*_named(bodies, len(models) > 1)]),
                _one_of(several),
            )
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": service, "version": release},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _named(bodies: Mapping[str, Any], several: bool) -> Iterator[dict[str, Any]]:
    """Bodies of a path that does not say which model is asked: where there are several, the body must."""
    for name, body in bodies.items():
        must = {"properties": {"model_name": {"const": name}}, "required": ["model_name"]}
        yield {"allOf": [body, must]} if several else body


def _one_of(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"oneOf": list(schemas)}


def _schema(schemas: dict[str, Any], model_name: str, body: Any) -> dict[str, Any]:
    """Put what a body must be like among the schemas; gives the reference to it."""
    described = body.model_json_schema(ref_template=_ref(model_name + ".{model}"))
    parts = described.pop("$defs", {}) | {body.__name__: described}
    schemas |= {f"{model_name}.{part}": content for part, content in parts.items()}
    return {"$ref": _ref(f"{model_name}.{body.__name__}")}


def _ref(name: str) -> str:
    return f"#/components/schemas/{name}"


def _answer(model: Model) -> dict[str, Any]:
    fields = {
        **_FIELDS[model.gives],
        "model_id": _TEXT,
        "prediction_time_ms": _NUMBER,
        "_metadata": {"type": "object", "properties": _METADATA, "required": list(_METADATA)},
    }
    return {
        "type": "object",
        "description": f"Per row: {MEANS[model.gives]}.",
        "properties": {**fields, "explanation": _EXPLANATION},
        "required": list(fields),
    }


def _post(summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    refusal = {"$ref": _ref("Error")}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": _told(answer, "The predictions"),
            **{status: _told(refusal, text) for status, text in _REFUSALS.items()},
        },
    }


def _told(schema: dict[str, Any], text: str = "What is asked for") -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}
