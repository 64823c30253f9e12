"""Requests made up from the OpenAPI document of each kind of service: none is answered with a 5xx."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from sklearn.linear_model import LinearRegression, LogisticRegression
from starlette.applications import Starlette
from starlette.testclient import TestClient

from e2i_assets.modeling.problems.base import Answer
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.serving import bento_store, build_bundle
from e2i_assets.serving.server.model import Model
from e2i_assets.serving.server.routes import routes
from e2i_assets.serving.server.running import Service
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, USUAL, toy_pipeline

LINE = dict.fromkeys(("centre", "level", "slope", "var_level", "var_slope", "average", "average_error"), 0.1) | {
    "cov": 0.0, "reach": 1.96,
}  # fmt: skip
ANSWERS: dict[str, tuple[Any, Answer]] = {
    "classification-service": (LogisticRegression(), Binary().answer([0, 1], "initiated", 0.5)),
    "causal-service": (LinearRegression(), Answer("causal-service", 3003, "predict", "effect", line=LINE)),
    "regression-service": (LinearRegression(), Regression().answer((), "days", 0.5)),
}
EXAMPLES = 25


@pytest.fixture(scope="module", params=sorted(ANSWERS))
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Starlette:
    """Two models of a kind, so that requests must name theirs."""
    estimator, answer = ANSWERS[request.param]
    models = []
    with bento_store(tmp_path_factory.mktemp("openapi") / "bentoml"):
        for name in ("first", "second"):
            bundle = build_bundle(
                toy_pipeline(estimator), FEATURES, name=name, version="v1", answer=answer, metadata={}, levels=LEVELS,
                usual=USUAL, out_of_contract="refuse" if name == "first" else "warn",
            )  # fmt: skip
            source = bundle.path / "src"
            (member,) = json.loads(Path(source / "release.json").read_text())["members"]
            models.append(Model(member, source))
    made = Starlette(routes=routes(effects=request.param == "causal-service"))
    made.state.service = Service(request.param, "r", models)
    return made


def test_what_is_outside_a_contract_is_refused_or_answered_with_a_warning_as_the_bundle_says(
    app: Starlette,
) -> None:
    with TestClient(app) as client:
        body = {"features": ROW | {"age": -5.125}}
        refused, warned = (client.post(f"/{name}/predict", json=body) for name in ("first", "second"))
        inside = client.post("/second/predict", json={"features": ROW})
    assert (refused.status_code, warned.status_code) == (400, 200)
    assert refused.json()["detail"][0]["loc"] == ["features", "age"]
    rule = "age: outside its contract, which allows a finite number from 0 to 120 in 1 of 1 rows"
    assert rule in warned.json()["_metadata"]["warnings"]
    assert "5.125" not in refused.text + json.dumps(warned.json()["_metadata"]["warnings"])
    assert inside.json()["_metadata"]["warnings"] == []


def test_what_is_given_twice_is_refused_and_a_colon_in_a_text_is_not(app: Starlette) -> None:
    one, body = json.dumps(ROW), json.dumps({"features": ROW})
    cases = {
        "age": body.replace('"age"', '"age": 20, "age"'),
        "features": f'{{"features": {{}}, {body[1:]}',
        "model_name": f'{{"model_name": "second", "model_name": "first", {body[1:]}',
    }
    with TestClient(app) as client:
        refused = {name: client.post("/first/predict", content=twice) for name, twice in cases.items()}
        rows = f'{{"features_list": [{one}, {{"age":1,{one[1:]}]}}'
        refused["age of a row"] = client.post("/first/predict_batch", content=rows)
        colon = client.post("/second/predict", json={"features": ROW | {"region": "a: b"}})
    for name, answer in refused.items():
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (400, "named_twice")
        assert answer.json()["error"].startswith(name.partition(" ")[0])
    assert colon.status_code == 200


def test_no_request_is_answered_with_a_5xx(app: Starlette) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    asked = set()
    for operation in schema.get_all_operations():
        operation = operation.ok()

        @settings(
            max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=[not_a_server_error])

        ask()
        asked.add(operation.path)
    assert {"/predict", "/first/predict_batch", "/health", "/metrics", "/model_info"} <= asked
