"""A bundle served by a real `bentoml serve` gives the in-process probability to named features."""

from __future__ import annotations

import ast
import asyncio
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from sklearn.pipeline import Pipeline

from e2i_assets.file_hashes import hashes
from e2i_assets.modeling.explanation.shapley import served_explanation
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.serving import bento_store, build_bundle
from e2i_assets.serving import client as client_module
from e2i_assets.serving.client import BentoMLClient, PredictionRefused, ServiceUnavailable, SyncBentoMLClient
from e2i_assets.serving.schema import feature_schema
from e2i_assets.serving.server.admission import MAX_AT_A_TIME, MAX_BODY
from e2i_assets.serving.server.request_schema import to_frame
from e2i_assets_tests.readme import snippets
from e2i_assets_tests.serve_process import forget, post, served
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, USUAL, toy_data, toy_pipeline

TAG = "e2i-conversion-toy:v1"
ROWS: list[dict[str, Any]] = [
    ROW,
    ROW | {"age": 71.25, "region": "south", "biologic": False},
    ROW | {"uas7": None},
    ROW | {"region": None, "biologic": None},
    dict.fromkeys(ROW),
]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    from xgboost import XGBClassifier

    return toy_pipeline(XGBClassifier(n_estimators=40, max_depth=3, random_state=7, n_jobs=1))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "serve.log"


@pytest.fixture(scope="module")
def url(pipeline: Pipeline, log: Path) -> Iterator[str]:
    with bento_store(log.parent / "bentoml") as home:
        bundle = build_bundle(
            pipeline,
            FEATURES,
            name="e2i-conversion-toy",
            version="v1",
            answer=Binary().answer(pipeline.classes_, "initiated", 0.5),
            metadata={"data_version": "abc"},
            levels=LEVELS,
            usual=USUAL,
            explanation=served_explanation(pipeline, toy_data()[0].assign(patient_id=range(300))),
        )
        assert (bundle.tag, bundle.service_name) == (TAG, "classification-service")
    with served(bundle.tag, home, log) as address:
        yield address
    assert not any(
        TAG in process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"]
    )


def in_process(pipeline: Pipeline, rows: list[dict[str, Any]]) -> np.ndarray:
    return pipeline.predict_proba(to_frame(feature_schema(FEATURES, LEVELS, USUAL), rows))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_one_row_gets_the_probability_of_the_model_in_process(
    url: str, pipeline: Pipeline, row: dict[str, Any]
) -> None:
    response = post(url, "/predict", {"features": row})
    assert response.status_code == 200, response.text
    answer = response.json()
    negative, positive = in_process(pipeline, [row])[0]
    assert answer["predictions"] == [pytest.approx(positive, abs=1e-6)]
    assert answer["probabilities"] == [pytest.approx([negative, positive], abs=1e-6)]
    assert answer["model_id"] == TAG
    assert answer["prediction_time_ms"] > 0
    assert set(answer["_metadata"]) == {
        "model_name", "version", "stage", "latency_ms", "timestamp", "warnings",
    }  # fmt: skip
    assert answer["_metadata"]["model_name"] == "e2i-conversion-toy"
    empty = all(value is None for value in row.values())
    assert answer["_metadata"]["warnings"] == (["every feature: null in 1 of 1 rows"] if empty else [])


def test_a_prediction_is_taken_apart_on_request(url: str, pipeline: Pipeline) -> None:
    plain = post(url, "/predict", {"features": ROW, "explain": False}).json()
    assert "explanation" not in plain
    answer = post(url, "/predict", {"features": ROW, "explain": True}).json()
    assert answer["predictions"] == plain["predictions"]
    explanation = answer["explanation"]
    assert explanation["scale"] == "log-odds"
    assert set(explanation["contributions"]) == set(ROW)
    log_odds = math.log(answer["predictions"][0] / (1 - answer["predictions"][0]))
    assert explanation["base"] + sum(explanation["contributions"].values()) == pytest.approx(
        log_odds, abs=1e-4
    )
    response = post(url, "/predict_batch", {"features_list": [ROW], "explain": True})
    assert (response.status_code, response.json()["detail"][0]["loc"]) == (400, ["explain"])
    assert httpx.get(f"{url}/model_info").json()["explanation"] == {"scale": "log-odds"}


def test_a_batch_gets_the_same_in_its_order(url: str, pipeline: Pipeline) -> None:
    answer = post(url, "/predict_batch", {"features_list": ROWS}).json()
    np.testing.assert_allclose(answer["probabilities"], in_process(pipeline, ROWS), atol=1e-6)
    np.testing.assert_allclose(answer["predictions"], in_process(pipeline, ROWS)[:, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "feature", "rule"),
    [
        ({"age": "SECRET-70"}, "age", "valid number"),
        ({"uas7": float("nan")}, "uas7", "finite number"),
        ({"biologic": 1}, "biologic", "valid boolean"),
        ({"region": 70}, "region", "valid string"),
        ({"shoe_size": "SECRET-43"}, "shoe_size", "not permitted"),
        ({"age": -5}, "age", "from 0 to 120"),
        ({"age": 1e39}, "age", "from 0 to 120"),
        ({"uas7": 1e39}, "uas7", "from -9.0"),
    ],
)
def test_a_bad_feature_gets_a_400_that_names_it(
    url: str, log: Path, change: dict[str, Any], feature: str, rule: str
) -> None:
    response = post(url, "/predict", {"features": ROW | change})
    assert response.status_code == 400
    (detail,) = response.json()["detail"]
    assert detail["loc"] == ["features", feature]
    assert rule in detail["msg"]
    assert "SECRET" not in response.text
    assert "SECRET" not in log.read_text()


def test_a_missing_feature_gets_a_400_that_names_it(url: str) -> None:
    response = post(url, "/predict", {"features": {name: ROW[name] for name in ROW if name != "uas7"}})
    assert response.status_code == 400
    assert [(detail["loc"], detail["msg"]) for detail in response.json()["detail"]] == [
        (["features", "uas7"], "Field required")
    ]


BODIES: dict[str, tuple[bytes, str, int]] = {
    "no JSON": (b"hello", "application/json", 400),
    "half": (b'{"features": {"age"', "application/json", 400),
    "empty": (b"", "application/json", 400),
    "a list": (b"[1]", "application/json", 400),
    "null": (b"null", "application/json", 400),
    "features of another shape": (b'{"features": [1]}', "application/json", 400),
    "no text": (b"\xff\xfe\x00", "application/json", 400),
    "a form": (b"x=1", "multipart/form-data; boundary=x", 415),
    "a form without boundary": (b"x=1", "Multipart/form-data", 415),
    "text": (b"{}", "text/plain", 415),
    "nested deeply": (b'{"features": ' + b"[" * 100_000, "application/json", 400),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_no_request_gets_a_4xx(url: str, kind: str) -> None:
    body, content_type, status = BODIES[kind]
    response = httpx.post(f"{url}/predict", content=body, headers={"Content-Type": content_type}, timeout=30)
    assert response.status_code == status
    assert response.json()["error"]


class Wire(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """What a client sends to the service, of which a proxy in between answers the first so many with a 503."""

    def __init__(self, overloaded: int = 0) -> None:
        self._plain, self._awaited = httpx.HTTPTransport(), httpx.AsyncHTTPTransport()
        self.overloaded, self.sent = overloaded, list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._overloaded(request) or self._plain.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._overloaded(request) or await self._awaited.handle_async_request(request)

    def close(self) -> None:
        self._plain.close()

    async def aclose(self) -> None:
        await self._awaited.aclose()

    def _overloaded(self, request: httpx.Request) -> httpx.Response | None:
        self.sent.append(request)
        return httpx.Response(503) if len(self.sent) <= self.overloaded else None


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, url: str) -> Callable[..., Any]:
    """Asks the service by a client of either kind."""

    def asked(name: str, *arguments: Any, wire: Wire, timeout: float = 30.0, **options: Any) -> Any:
        given = {"urls": [url], "timeout": timeout, "retries": 2, "transport": wire}
        if request.param == "sync":
            with SyncBentoMLClient(**given) as client:
                return getattr(client, name)("e2i-conversion-toy", *arguments, **options)

        async def run() -> Any:
            async with BentoMLClient(**given) as client:
                return await getattr(client, name)("e2i-conversion-toy", *arguments, **options)

        return asyncio.run(run())

    return asked


def test_the_example_of_the_reference_runs(
    url: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = [text for text in snippets("py") if "BentoMLClient" in text]
    example = example.replace("e2i-conversion-fabhalta_pnh", "e2i-conversion-toy")
    monkeypatch.setenv(client_module.URLS, url)
    names: dict[str, Any] = {"patient": ROW}
    asyncio.run(eval(compile(example, "api.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names))
    expected = in_process(pipeline, [ROW])[0, 1]
    assert names["result"]["predictions"] == [pytest.approx(expected, abs=1e-6)]
    assert names["results"]["predictions"] == [pytest.approx(expected, abs=1e-6)] * 2


def test_a_client_gets_what_the_service_answers(
    ask: Callable[..., Any], pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is told to come again at first: the same request under the same name."""
    monkeypatch.setattr(client_module, "BACKOFF_S", 0.01)
    expected = in_process(pipeline, ROWS)
    wire = Wire(overloaded=2)
    answer = ask("predict", ROW, wire=wire, patient_journey_id="journey-1", explain=True)
    assert answer["predictions"] == [pytest.approx(expected[0, 1], abs=1e-6)]
    assert set(answer["explanation"]["contributions"]) == set(ROW)
    assert len({request.headers["X-Request-Id"] for request in wire.sent}) == 1
    assert len(wire.sent) == 3
    batch = ask("predict_batch", ROWS, wire=Wire(), patient_journey_ids=[None] * len(ROWS))
    np.testing.assert_allclose(batch["predictions"], expected[:, 1], atol=1e-6)


def test_a_client_gives_up_where_that_is_right(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong is not sent again; what passes is, as often as it was told to."""
    monkeypatch.setattr(client_module, "BACKOFF_S", 0.01)
    cases: dict[str, tuple[Wire, list[dict[str, Any]], float, type[Exception], str, int]] = {
        "a 4xx": (Wire(), [ROW | {"age": -5}], 30, PredictionRefused, "0.age: .* from 0 to 120", 1),
        "too late": (Wire(), [ROW] * 1000, 1e-3, ServiceUnavailable, "Timeout", 3),
        "always overloaded": (Wire(overloaded=9), [ROW], 30, ServiceUnavailable, "503", 3),
    }
    for wire, rows, timeout, error, text, times in cases.values():
        with pytest.raises(error, match=text):
            ask("predict_batch", rows, wire=wire, timeout=timeout)
        assert len(wire.sent) == times


def test_a_bad_row_of_a_batch_is_named_by_index_and_feature(url: str) -> None:
    response = post(url, "/predict_batch", {"features_list": [ROW, ROW, ROW | {"age": "x"}]})
    assert response.status_code == 400
    assert response.json()["detail"][0]["loc"] == ["features_list", 2, "age"]


def test_a_level_that_training_did_not_have_is_answered_with_a_warning(url: str, pipeline: Pipeline) -> None:
    row = ROW | {"region": "Atlantis"}
    answer = post(url, "/predict", {"features": row}).json()
    assert answer["predictions"] == [pytest.approx(in_process(pipeline, [row])[0, 1], abs=1e-6)]
    assert answer["_metadata"]["warnings"] == ["region: level rare or not seen in training in 1 of 1 rows"]


def test_a_number_far_from_train_is_answered_with_a_warning(url: str) -> None:
    answer = post(url, "/predict", {"features": ROW | {"age": 119}}).json()
    assert answer["_metadata"]["warnings"] == ["age: well beyond the values usual in training in 1 of 1 rows"]


def test_many_and_long_unknown_names_make_a_short_answer(url: str, log: Path) -> None:
    before = log.stat().st_size
    names = {f"{'x' * 2000}{i}": 1 for i in range(1000)}
    response = post(url, "/predict", {"features": ROW | names} | names)
    assert response.status_code == 400
    assert len(response.content) < 4096
    assert "x" * 100 not in log.read_text()[before:]


def test_health_names_the_model_and_metrics_count_requests(url: str) -> None:
    """By requests that were answered or refused with a 4xx: what clients do wrong makes no model unhealthy."""
    assert post(url, "/predict", {"features": ROW}).status_code == 200
    assert post(url, "/predict", {"features": {}}).status_code == 400
    health = httpx.get(f"{url}/health").json()
    assert (health["status"], health["model_id"], health["error_rate"]) == ("healthy", TAG, 0)
    assert health["requests"] >= 2
    assert 0 < health["latency_ms"] < 500
    assert health["models"]["e2i-conversion-toy"]["status"] == "healthy"
    assert health["uptime_seconds"] > 0
    text = httpx.get(f"{url}/metrics").text
    of_toy = 'endpoint="/predict",model="e2i-conversion-toy",service="classification-service"'
    for sample in (
        f'e2i_model_requests_total{{{of_toy},status="200"}}',
        'e2i_model_request_latency_seconds_bucket{endpoint="/predict",le="0.5",model="e2i-conversion-toy"',
        'e2i_model_errors_total{endpoint="/predict",error_type="client"',
        'e2i_model_health_status{model="e2i-conversion-toy",service="classification-service"} 1.0',
        'e2i_model_load_seconds{model="e2i-conversion-toy"', "process_resident_memory_bytes",
    ):  # fmt: skip
        assert sample in text, sample


def test_a_body_above_the_limit_gets_a_413(url: str) -> None:
    response = httpx.post(f"{url}/predict", content=b" " * (MAX_BODY + 1), timeout=30)
    assert response.status_code == 413


def test_a_burst_is_refused_early_while_health_is_told(url: str) -> None:
    body = json.dumps({"features_list": [ROW] * 1000})
    with ThreadPoolExecutor(4 * MAX_AT_A_TIME) as pool:
        answers = [
            pool.submit(httpx.post, f"{url}/predict_batch", content=body, timeout=60)
            for _ in range(4 * MAX_AT_A_TIME)
        ]
        health = [httpx.get(f"{url}/health", timeout=10).status_code for _ in range(5)]
        statuses = {answer.result().status_code for answer in answers}
    assert health == [200] * 5
    assert statuses <= {200, 503}
    assert 200 in statuses
    assert post(url, "/predict", {"features": ROW}).status_code == 200
    rate = httpx.get(f"{url}/health").json()["error_rate"]
    assert (rate > 0) == (503 in statuses)


def test_the_service_describes_its_features(url: str) -> None:
    info = httpx.get(f"{url}/model_info").json()
    assert info["metadata"] == {"data_version": "abc"}
    assert (info["positive_class"], info["threshold"]) == ("initiated", 0.5)
    assert [feature["name"] for feature in info["features"]] == list(ROW)
    properties = httpx.get(f"{url}/docs.json").json()["components"]["schemas"]["e2i-conversion-toy.Features"][
        "properties"
    ]
    assert properties["age"]["x-unit"] == "years"
    assert properties["age"]["description"].startswith("Age at diagnosis")


def test_a_bundle_whose_pipeline_answers_otherwise_refuses_to_serve(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The self-check, in process: other library versions show as other probabilities."""
    import bentoml

    with bento_store(tmp_path) as home:
        bundle = build_bundle(
            pipeline, FEATURES, name="e2i-conversion-toy", version="v2",
            answer=Binary().answer(pipeline.classes_, "initiated", 0.5), metadata={}, levels=LEVELS, usual=USUAL,
        )  # fmt: skip
        _change_golden(bundle.path / "src")
        monkeypatch.chdir(home)
        service = bentoml.load(bundle.tag)
        with pytest.raises(RuntimeError, match="self-check failed"):
            service()
    forget()


def _change_golden(source: Path) -> None:
    """As if the libraries gave another probability: the schema, and what is on record of its bytes."""
    (schema,) = source.rglob("models/*/schema.json")
    changed = json.loads(schema.read_text())
    changed["golden"][0]["given"][1] += 1e-3
    schema.write_text(json.dumps(changed))
    release = json.loads((source / "release.json").read_text())
    (listed,) = [file for file in release["members"][0]["files"] if file[0].endswith("schema.json")]
    listed[1:] = hashes(schema.parent)["schema.json"]
    (source / "release.json").write_text(json.dumps(release))
