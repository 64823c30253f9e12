"""A real `bentoml serve` for tests: started on a free loopback port, stopped with all of its processes."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

READY_WITHIN_S = 120


@contextmanager
def served(target: str, home: Path, log: Path, **variables: str) -> Iterator[str]:
    """Serve a Bento tag of the store in `home`, or an import string of that folder, with these environment
    variables; yields its URL.
    """
    port = free_port()
    environment = os.environ | {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    command = [sys.executable, "-m", "bentoml", "serve", target]
    options = ["--host", "127.0.0.1", "--port", str(port), "--api-workers", "1"]
    with running(command + options, environment, home, log, port) as url:
        yield url


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, port: int
) -> Iterator[str]:
    """A command in a folder that serves a bundle on a port of this machine, while it does; yields its URL.

    The server and its workers are ended and waited for on the way out.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, url, log)
        yield url
    finally:
        _stop(process)


def post(url: str, path: str, body: dict[str, Any]) -> httpx.Response:
    """The answer to a body, NaN and Infinity included, which a JSON client of a test library would refuse."""
    headers = {"Content-Type": "application/json"}
    return httpx.post(url + path, content=json.dumps(body), headers=headers, timeout=30)


def forget() -> None:
    """Remove the modules of a service that was loaded into this process."""
    for module in [
        name
        for name in sys.modules
        if name.partition(".")[0] in ("service", "server", "one_row", "contributions")
    ]:
        del sys.modules[module]


def free_port() -> int:
    """A port of this machine that nobody listens on, and that no outgoing connection is given meanwhile."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


def serving_environment() -> dict[str, str]:
    """Ports that nobody uses, for the addresses of an installation."""
    names = ("CLASSIFICATION", "REGRESSION", "CAUSAL", "API")
    return {f"E2I_{name}_PORT": str(free_port()) for name in names}


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"bentoml serve did not become ready:\n{log.read_text()[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the supervisor, which ends its workers; what is left after that is killed.

    The workers are found by parentage: each leads a session of its own, so no process group covers them.
    """
    if process.poll() is not None:
        return
    supervisor = psutil.Process(process.pid)
    family = [supervisor, *supervisor.children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=20)
    for left in alive:
        left.kill()
    psutil.wait_procs(alive, timeout=5)
    process.wait(timeout=5)
