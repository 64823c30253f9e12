"""Spans: which there are, what of them is kept, and that whoever takes them is waited for by nobody."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from e2i_assets.observability import background as background_module
from e2i_assets.observability.otlp import parse_headers
from e2i_assets.observability.recorder import Recorder, row
from e2i_assets.observability.span import Caller, Span, caller, clean, new_span_id, new_trace_id, sampled
from e2i_assets.observability.trace import Trace, trace_id_of
from e2i_assets.serving.server.tracing import Tracing
from e2i_assets_tests.otlp_receiver import receiving

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
LOGGER = logging.getLogger("spans of tests")
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_module, "TICK_S", 0.01)


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def span(name: str = "stage", error: str | None = None, **attributes: Any) -> Span:
    return Span(
        TRACE, new_span_id(), PARENT, name, "e2i", 10**18, 10**18 + 2_500_000, error, attributes, "run"
    )


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (f"00-{TRACE}-{PARENT}-01", Caller(TRACE, PARENT, True)),
        (f"00-{TRACE}-{PARENT}-00", Caller(TRACE, PARENT, False)),
        (f"cc-{TRACE}-{PARENT}-03-more", Caller(TRACE, PARENT, True)),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}", None),
        ("Robert'); DROP TABLE", None),
        ("", None),
    ],
)
def test_the_caller_is_who_traceparent_says_or_nobody(header: str, known: Caller | None) -> None:
    assert caller(header.encode()) == known


def test_a_share_of_traces_is_recorded_and_everybody_decides_the_same() -> None:
    traces = [new_trace_id() for _ in range(20_000)]
    assert len(set(traces)) == len(traces)
    share = sum(sampled(trace, 0.1) for trace in traces) / len(traces)
    assert 0.09 < share < 0.11
    assert all(sampled(trace, 1.0) and not sampled(trace, 0.0) for trace in traces[:100])
    assert {trace for trace in traces if sampled(trace, 0.1)} < {t for t in traces if sampled(t, 0.2)}


def test_attributes_are_bounded_and_tell_no_secret() -> None:
    kept = clean(
        {"rows": 3, "none": None, "DB_Password": "hunter2", "x.api_key": "k", "text": "a\0" + "b" * 9_000}
    )
    assert kept == {
        "rows": 3,
        "DB_Password": "[redacted]",
        "x.api_key": "[redacted]",
        "text": "a\ufffd" + "b" * 998,
    }
    many = clean({f"name_{number}": "x" * 500 for number in range(100)})
    assert sum(len(name) + len(str(value)) for name, value in many.items()) <= 4_096
    kept_as = row(span(error="ValueError", model="m", rows=1))
    assert (kept_as["status"], kept_as["error_type"], kept_as["model_name"]) == ("error", "ValueError", "m")
    assert (kept_as["attributes"], kept_as["duration_ms"]) == ({"rows": 1}, 2.5)


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        (
            "projectName=e2i%20assets, Comet-Workspace=default,Authorization=a=b",
            {"projectName": "e2i assets", "Comet-Workspace": "default", "Authorization": "a=b"},
        ),
        ("projectName=e2i,SECRET", None),
    ],
)
def test_headers_are_those_of_opentelemetry(text: str, headers: dict[str, str] | None) -> None:
    if headers is None:
        with pytest.raises(ValueError, match=r"^header 2 is not of the form name=value$"):
            parse_headers(text)
    else:
        assert parse_headers(text) == headers


def _rejecting(spans: int) -> bytes:
    return ExportTraceServiceResponse(partial_success={"rejected_spans": spans}).SerializeToString()


def test_a_receiver_gets_spans_as_protobuf_and_what_it_refuses_is_counted() -> None:
    """Also those that came while it could not take any: its answer said to come again."""
    with receiving() as received:
        received.status = 503
        recorder = Recorder(None, received.url + "/otel", {"projectName": "e2i"}, LOGGER)
        sink = recorder.sinks["spans_otlp"]
        recorder.offer(span("cohort", rows=7, passed=True, secret_token="x"))
        until(lambda: not sink.available)
        received.status = 200
        until(lambda: received.spans)
        assert received.paths[-1] == "/otel/v1/traces"
        assert received.headers[-1]["projectName"] == "e2i"
        assert received.headers[-1]["Content-Type"] == "application/x-protobuf"
        received.status = 400
        recorder.offer(span("refused"))
        until(lambda: sink.dropped == 1)
        received.status = 200
        recorder.offer(span("features", error="leakage"))
        recorder.close()
    first, second = received.spans
    assert (first["service"], first["name"], first["trace_id"], first["parent"]) == (
        "e2i",
        "cohort",
        TRACE,
        PARENT,
    )
    assert (first["ns"], first["error"], second["error"]) == (2_500_000, False, True)
    assert first["attributes"] == {"run_id": "run", "rows": 7, "passed": True, "secret_token": "[redacted]"}
    assert second["attributes"]["error.type"] == "leakage"


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        (_rejecting(1), 1),
        (_rejecting(7), 2),  # of two
        (_rejecting(-7), 0),
        (b"<html>Sign in</html>", 2),
        (bytes(10_000_000), 2),
    ],
)
def test_whatever_a_receiver_answers_counts_what_was_sent_at_most(answer: bytes, lost: int) -> None:
    with receiving() as received:
        received.answer = answer
        recorder = Recorder(None, received.url, {}, LOGGER)
        recorder.offer(span())
        recorder.offer(span())
        recorder.close()
        assert (len(received.spans), recorder.sinks["spans_otlp"].dropped) == (2, lost)


def test_a_receiver_that_is_down_loses_spans_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2i_assets.observability.recorder.PLACES", 10)
    recorder = Recorder("postgresql://127.0.0.1:1/nowhere", NOWHERE, {}, LOGGER)
    for _ in range(100):
        recorder.offer(span())
    recorder.close()
    for sink in recorder.sinks.values():
        assert sink.dropped + sink.waiting == 100
        assert not sink._thread.is_alive()


MODEL = SimpleNamespace(name="m", version="3", stage="production", partition="p_a")
CALLED = {b"traceparent": f"00-{TRACE}-{PARENT}-01".encode()}
UNSAMPLED = {b"traceparent": f"00-{TRACE}-{PARENT}-00".encode()}


@pytest.mark.parametrize(
    ("share", "headers", "status", "traced"),
    [
        ("1", {}, 200, True),
        ("0.000001", {}, 200, False),
        ("0.000001", {}, 500, True),
        ("0.000001", {}, 400, False),
        ("0.000001", CALLED, 200, True),
        ("1", UNSAMPLED, 200, False),
        ("1", UNSAMPLED, 503, True),
        ("1", {b"x-e2i-probe": b"1"}, 500, False),
        ("0", CALLED, 500, False),
    ],
)
def test_which_predictions_have_a_span(
    share: str, headers: dict[bytes, bytes], status: int, traced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("E2I_TRACE_PREDICTIONS", share)
    monkeypatch.setenv("E2I_OTLP_ENDPOINT", NOWHERE)
    tracing = Tracing("classification-service", "r1", None, shadowed=frozenset({"m"}))
    made: list[Span] = []
    if tracing._recorder:
        monkeypatch.setattr(tracing._recorder, "offer", made.append)
    tracing.note(
        {"headers": headers, "start": time.perf_counter(), "model": MODEL, "rows": 2}, "/predict", status
    )
    tracing.close()
    assert len(made) == traced
    for one in made:
        assert (one.trace_id, one.parent_span_id) == (
            (TRACE, PARENT) if b"traceparent" in headers else (one.trace_id, None)
        )
        assert one.error_type == (f"HTTP {status}" if status >= 500 else None)
        verdict = {200: "answered", 500: "failed", 503: "overloaded"}[status]
        assert one.attributes == {
            "model": "m", "version": "3", "stage": "production", "partition": "p_a", "release": "r1", "rows": 2,
            "http.response.status_code": status, "verdict": verdict, "shadow": True,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "value"), [("E2I_TRACE_PREDICTIONS", "SECRET"), ("E2I_TRACE_PREDICTIONS", "2"), ("E2I_OTLP_HEADERS", "SECRET")]
)  # fmt: skip
def test_a_variable_that_cannot_be_used_is_named_and_not_told(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(RuntimeError, match=f"^{variable}: (?!.*SECRET)"):
        Tracing("s", "r", None, shadowed=frozenset())


def test_a_run_is_one_trace_of_stages_gates_and_trials() -> None:
    run_id, made = "6ba7b810-9dad-41d1-80b4-00c04fd430c8", list[Span]()
    trace = Trace(run_id, 1.0, made.append, job="refresh")
    with trace.stage("stage cohort", partition="p") as stage:
        with stage.child("gate cohort_size") as gate:
            gate.set(passed=False)
            gate.error_type = "cohort_too_small"
        stage.record("trial", 1_000.0, 2.5, None, number=0)
    with pytest.raises(ZeroDivisionError), trace.stage("stage features"):
        raise ZeroDivisionError("1 / SECRET")
    trace.end()
    assert (
        {(one.trace_id, one.run_id) for one in made}
        == {(trace_id_of(run_id), run_id)}
        == {(run_id.replace("-", ""), run_id)}
    )
    assert len({one.span_id for one in made}) == len(made)
    names = {one.span_id: one.name for one in made}
    assert [(one.name, names.get(one.parent_span_id or ""), one.error_type) for one in made] == [
        ("gate cohort_size", "stage cohort", "cohort_too_small"),
        ("trial", "stage cohort", None),
        ("stage cohort", "run", None),
        ("stage features", "run", "ZeroDivisionError"),
        ("run", None, "ZeroDivisionError"),
    ]
    assert made[1].ended_ns - made[1].started_ns == 2_500_000_000
    assert "SECRET" not in repr(made)
    assert all(len(trace_id_of(odd)) == 32 for odd in ("", "not a uuid"))


@pytest.mark.parametrize(("share", "kept"), [(1e-12, ["stage wrong", "run"]), (0, [])])
def test_of_a_run_that_is_not_traced_what_goes_wrong_is_kept_unless_all_is_off(
    share: float, kept: list[str]
) -> None:
    made: list[Span] = []
    trace = Trace("6ba7b810-9dad-41d1-80b4-00c04fd430c8", share, made.append)
    with trace.stage("stage right"):
        pass
    with trace.stage("stage wrong") as stage:
        stage.error_type = "refused"
    trace.end()
    assert [one.name for one in made] == kept
