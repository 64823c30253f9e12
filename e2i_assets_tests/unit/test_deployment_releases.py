"""Which versions a release has, how its router is set up, and what a golden answer must be like."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from e2i_assets.deployment.golden import golden_refusal
from e2i_assets.deployment.releases import (
    Member,
    Members,
    Past,
    compose,
    is_as_registered,
    release_of,
    taken_back,
    with_version,
)
from e2i_assets.deployment.router import configuration
from e2i_assets.gates.deployment import HOLDOUT_AS_TEST, RELEASE_ANSWERS, Answering
from e2i_assets.modeling.evaluation.holdout import HoldoutEvaluation, Measured, predictions


def version(name: str, number: int, role: str = "active", stage: str = "staging") -> Member:
    return Member(name, number, f"{name}:{number}", "hash", stage, role, "scope", "p", f"{name}{number}")  # type: ignore[arg-type]


A1, A2, A3 = (version("a", number) for number in (1, 2, 3))
B1, B2 = (version("b", number) for number in (1, 2))
SHADOW = version("a", 3, "shadow", "shadow")


def test_a_release_is_its_content() -> None:
    assert release_of((A1, B1)) == release_of((B1, A1)) != release_of((A2, B1))
    assert release_of((A1,)) != release_of((replace(A1, files_hash="other"),))


@pytest.mark.parametrize(
    ("registered", "history", "asked", "current", "members"),
    [
        ([A1, B1], [], (), (), (A1, B1)),
        ([B2, A2], [Past((A1, B1), "active")], (), (A1, B1), (A2, B2)),
        ([A1, B2], [Past((A1,), "replaced"), Past((A2,), "rolled_back"), Past((A1,), "active")], (), (A1,), (A1, B2)),
        ([A2], [Past((A1,), "replaced"), Past((A2,), "rolled_back"), Past((A1,), "active")], (), (A1,), (A2,)),
        ([A2, B1], [Past((A1, B1), "active"), Past((A2, B1), "failed")], (), (A1, B1), (A1, B1)),
        ([A2, B1], [Past((A1, B1), "active"), Past((A2, B1), "failed")], ("a",), (A1, B1), (A2, B1)),
        ([A3, B1], [Past((A1, B1), "active"), Past((A2, B1), "failed")], (), (A1, B1), (A3, B1)),
        ([A2], [Past((A2,), "rolled_back"), Past((A2, B1), "failed")], (), (A1,), (A2,)),
        ([A2], [Past((A2,), "superseded")], (), (), (A2,)),
        ([A1, SHADOW], [], (), (), (A1, SHADOW)),
        ([A1, SHADOW], [Past((A1,), "failed")], (), (), ()),
    ],
    ids=[
        "the first", "newer ones", "what was rolled back is the registry's affair", "also when it was promoted again",
        "what failed waits, its neighbour does not", "until it is named", "a newer one does not wait",
        "what answered once does not", "a wish alone says nothing",
        "a shadow beside", "no shadow alone",
    ],
)  # fmt: skip
def test_a_release_has_what_the_registry_says_but_for_what_failed(
    registered: list[Member], history: list[Past], asked: tuple[str, ...], current: Members, members: Members
) -> None:
    assert compose(registered, history, asked, current) == members


def test_one_model_goes_back_and_the_others_stay() -> None:
    assert with_version((A2, SHADOW, B2), A1) == (A1, B2)


@pytest.mark.parametrize(
    ("now", "before", "back"),
    [
        ((A2, B1), (A1, B1), {A2: 1}),
        ((A2, B2), (A1, B1), {A2: 1, B2: 1}),
        ((A1, B1), (A1,), {B1: None}),
        ((A1,), (A1, B1), {}),
        ((A1, SHADOW), (A1,), {}),
    ],
)
def test_a_release_takes_back_what_it_brought(
    now: Members, before: Members, back: dict[Member, int | None]
) -> None:
    assert taken_back(now, before) == back


@pytest.mark.parametrize(
    "changed",
    [(A1, SHADOW), (replace(A1, stage="production"),), (A1, replace(SHADOW, role="active"))],
    ids=["a shadow begins", "production", "a shadow answers"],
)
def test_a_stage_that_changes_is_another_release(changed: Members) -> None:
    """So that scoring in shadow begins and ends, and answers tell the stage."""
    history = [Past((A1,), "active")]
    forth, back = compose(changed, history, (), (A1,)), compose((A1,), history, (), changed)
    assert forth == changed
    assert back == (A1,)
    assert release_of(forth) != release_of(back)
    assert not is_as_registered(changed, (A1, B1), "a")
    assert not is_as_registered((A1, B2), changed, "a")
    assert is_as_registered((*changed, B2), (*changed[::-1], B1), "a")


def test_a_switch_needs_no_other_configuration_of_the_router() -> None:
    document = configuration("127.0.0.1", {"s": 3001}, {"s": (20001, 20002)})
    (proxy,) = document["apps"]["http"]["servers"]["s"]["routes"][-1]["handle"]
    assert [one["dial"] for one in proxy["upstreams"]] == ["127.0.0.1:20001", "127.0.0.1:20002"]
    assert proxy["load_balancing"]["selection_policy"] == {"policy": "first"}
    assert proxy["health_checks"]["active"]["uri"] == "/active"
    assert proxy["request_buffers"] > 0  # without it a POST that is asked again has an empty body
    assert document["admin"]["disabled"]


KNOWN = {"features": {"x": 1}, "given": [0.2], "answer": {"predictions": [0.2], "labels": [{"a": 0.2}]}}
RIGHT = {"predictions": [0.2], "labels": [{"a": 0.2}], "_metadata": {"model_name": "a", "version": "1"}}


@pytest.mark.parametrize(
    ("status", "answer", "wrong"),
    [
        (200, RIGHT, None),
        (200, RIGHT | {"predictions": [0.2 + 1e-9]}, None),
        (200, RIGHT | {"predictions": [0.21]}, "answered otherwise"),
        (200, RIGHT | {"predictions": [0.2, 0.2]}, "answered otherwise"),
        (200, RIGHT | {"labels": [{"b": 0.2}]}, "answered otherwise"),
        (200, RIGHT | {"predictions": None}, "answered otherwise"),
        (200, RIGHT | {"_metadata": {"model_name": "a", "version": "2"}}, "by version 2 of a, not by 1"),
        (500, {}, "status 500"),
        (None, {}, "was not answered"),
    ],
)
def test_a_process_that_answers_otherwise_than_is_known_is_refused(
    tmp_path: Path, status: int | None, answer: dict[str, Any], wrong: str | None
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "schema.json").write_text(json.dumps({"golden": [KNOWN]}))

    def answering(request: httpx.Request) -> httpx.Response:
        if status is None:
            raise httpx.ConnectError("refused")
        assert json.loads(request.content) == {"features": {"x": 1}}
        assert "X-E2I-Probe" in request.headers  # or the log of predictions would have it
        return httpx.Response(status, json=answer)

    with httpx.Client(transport=httpx.MockTransport(answering)) as client:
        refusal = golden_refusal("http://x", tmp_path, (A1, SHADOW), client)
    assert refusal is None if wrong is None else wrong in str(refusal)


def test_a_model_without_golden_requests_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "schema.json").write_text(json.dumps({"golden": []}))
    with httpx.Client() as client:
        assert golden_refusal("http://x", tmp_path, (A1,), client) == "a has no golden requests"


def test_a_deployment_that_something_else_answers_for_is_refused() -> None:
    good = Answering("a", 1, 1, "r1", "r1")
    assert RELEASE_ANSWERS.verdict(good).passed
    for wrong in ({"answered": 2}, {"answered": None}, {"release": "r2"}, {"release": None}):
        assert not RELEASE_ANSWERS.verdict(replace(good, **wrong)).passed


def on(holdout: Measured, test: Measured, greater: bool | None = True) -> HoldoutEvaluation:
    return HoldoutEvaluation("a", 1, "f", "roc_auc", greater, holdout, test, {}, 30)


TEST = Measured(0.80, 0.75, 0.85)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (on(Measured(0.78, 0.68, 0.88), TEST), "ok"),
        (on(Measured(0.99, 0.98, 1.0), TEST), "ok"),
        (on(Measured(0.55, 0.45, 0.65), TEST), "worse_than_test"),
        (on(Measured(0.90, 0.85, 0.95), TEST, greater=False), "worse_than_test"),
        (on(Measured(0.60, 0.55, 0.65), TEST, greater=False), "ok"),
        (on(Measured(0.95, 0.90, 1.0), TEST, greater=None), "worse_than_test"),
        (on(Measured(None), TEST), "not_comparable"),
        (on(Measured(0.8), TEST), "not_comparable"),
        (on(TEST, Measured(0.8)), "not_comparable"),
    ],
    ids=[
        "as good", "better", "worse", "worse where less is better", "better where less is better",
        "another effect", "no figure", "no interval", "no interval of test",
    ],
)  # fmt: skip
def test_holdout_is_compared_with_test_beyond_chance(result: HoldoutEvaluation, reason: str) -> None:
    verdict = HOLDOUT_AS_TEST.verdict(result)
    assert (verdict.reason, verdict.passed) == (reason, reason == "ok")
    assert verdict.passed or verdict.next_step


def test_answers_become_predictions_in_the_order_of_the_rows() -> None:
    batches = [{"predictions": [0.1, 0.2]}, {"predictions": [0.3]}]
    assert predictions(batches, ()).tolist() == [0.1, 0.2, 0.3]
    of_classes = [{"predictions": ["low"], "probabilities": [{"high": 0.3, "low": 0.7}]}]
    np.testing.assert_array_equal(predictions(of_classes, ("low", "high")), [[0.7, 0.3]])
