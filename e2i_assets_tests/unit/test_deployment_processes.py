"""What a slot's process is told, what it says of a release that cannot be built, and what is asked of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import psutil
import pytest

from e2i_assets import home
from e2i_assets.contracts.variables import Feature
from e2i_assets.deployment import process, processes
from e2i_assets.deployment import slots as slots_module
from e2i_assets.deployment.endpoint import ask
from e2i_assets.deployment.releases import DeploymentError, release_of
from e2i_assets.deployment.slots import Facts, Slots
from e2i_assets.errors import E2IError
from e2i_assets.serving.errors import BundleError
from e2i_assets_tests.deployment_world import until

FULL = OSError(28, "No space left on device", "model.joblib")


@pytest.mark.parametrize("error", [FULL, BundleError("bundle r:1: No space left on device at model.joblib")])
def test_a_release_that_cannot_be_built_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    order, refusal = tmp_path / "order.json", tmp_path / "refusal"
    order.write_text(
        json.dumps(
            {"service": "s", "release": release_of(()), "port": 1, "members": [], "refusal": str(refusal)}
        )
    )

    def build(*_: object) -> None:
        raise error

    monkeypatch.setattr("e2i_assets.serving.ensure_release", build)
    with pytest.raises((E2IError, OSError)):
        process.serve(order)
    assert "No space left on device" in refusal.read_text()
    assert "model.joblib" in refusal.read_text()


def test_a_record_that_was_changed_touches_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    order, refusal, bento = tmp_path / "order.json", tmp_path / "refusal", tmp_path / "bentoml/bentos/s/r1"
    bento.mkdir(parents=True)
    wanted = {"service": "s", "release": "r1", "port": 1, "members": [], "refusal": str(refusal)}
    order.write_text(json.dumps(wanted))
    with pytest.raises(DeploymentError):
        process.serve(order)
    assert "release r1 in ml_bentoml_services names other members" in refusal.read_text()
    assert bento.is_dir()


def test_a_full_disk_keeps_nobody_from_looking_after_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(slots_module.log, "warning", lambda text, *values: warnings.append(text % values))
    slots = Slots("s", tmp_path / "s", tmp_path, (1, 2), 30.0)

    def full(*_: object, **__: object) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        for _ in range(2):
            assert [slot.phase for slot in slots.observe()] == ["empty", "empty"]
        with pytest.raises(OSError, match="No space left"):
            slots.start("blue", "r", (), None)
        assert [slot.phase for slot in slots.observe()] == ["dead", "empty"]
    assert len(warnings) == 1
    assert "slots.json cannot be written: No space left on device" in warnings[0]
    slots.observe()
    assert json.loads((tmp_path / "s" / "slots.json").read_text())["blue"]["phase"] == "dead"


def test_a_clock_that_is_set_ends_nobody_and_keeps_no_check_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = processes.known([psutil.Process()])
    slots, marked = Slots("s", tmp_path / "s", tmp_path, (1, 2), 30.0), home._name(psutil.Process())
    slots._facts["blue"] = Facts("r", "ready", 1, own, switched_at=time.time(), checked_at=time.time())
    slots.activate("blue")
    asked: list[str] = []
    monkeypatch.setattr(Slots, "_health", lambda self, name: asked.append(name))
    booted, now = psutil.boot_time(), time.time()
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted - 3600)
    monkeypatch.setattr(slots_module.time, "time", lambda: now - 3600)
    assert slots.observe()[0].phase == "ready"
    monkeypatch.setattr(slots_module.time, "time", lambda: now - 3569)
    assert slots.observe()[0].failed_checks == 1
    assert asked == ["blue"]
    assert not home._left_behind(marked)


def test_no_process_of_a_service_is_told_the_secrets_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in processes.SECRETS:
        monkeypatch.setenv(name, "secret")
    log = tmp_path / "log"
    code = "import os; print({k for k, v in os.environ.items() if v == 'secret'})"
    processes.start([sys.executable, "-c", code], f"{tmp_path}:own", log, {"OWN": "secret"})
    until(lambda: log.read_text() == "{'OWN'}\n", "it has told what it knows")


@pytest.fixture
def service() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that answers as version 2, and the headers and bodies that it was sent."""
    asked: list[dict[str, Any]] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({"path": self.path, "probe": self.headers.get("X-E2I-Probe"), "body": body})
            answer = {"predictions": [0.5] * len(body["features_list"]), "_metadata": {"version": "2"}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_holdout_is_asked_without_a_trace_in_the_log_of_predictions(
    service: tuple[str, list[dict[str, Any]]],
) -> None:
    url, asked = service
    features = [
        Feature(name="age", kind="numeric", source="t.age"),
        Feature(name="flag", kind="boolean", source="t.flag"),
    ]
    rows = pd.DataFrame({"age": [60.0, float("nan")], "flag": [1, None], "other": [1, 2]})
    (answer,) = ask(url, "a", 2, rows, features)
    assert answer["predictions"] == [0.5, 0.5]
    assert asked == [
        {
            "path": "/a/predict_batch",
            "probe": "1",
            "body": {"features_list": [{"age": 60.0, "flag": True}, {"age": None, "flag": None}]},
        }
    ]
    with pytest.raises(DeploymentError, match="version 2 of a answers, not 1"):
        ask(url, "a", 1, rows, features)
