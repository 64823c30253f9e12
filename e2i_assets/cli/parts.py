"""The parts of an installation that `e2i up` runs: processes that are watched, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from urllib.parse import urlsplit

import httpx
import psutil

from e2i_assets.cli.output import say
from e2i_assets.cli.serve import end_services, reconciler_of
from e2i_assets.cli.tools import MLFLOW_PORT, mlflow_command, mlflow_environment
from e2i_assets.deployment import processes, router
from e2i_assets.deployment.status import slots_of
from e2i_assets.errors import E2IError
from e2i_assets.settings import Settings

PARTS = ("dagit", "mlflow", "services", "api")
RESTARTS, WITHIN = 3, 60.0
"""Times that a part is started again within so many seconds."""
READY_WITHIN = 120.0


class PartEnded(E2IError, RuntimeError):
    """A part that does not stay up."""

    code = "part_ended"
    next_step = "Read what it said above; `--only` leaves it out."
    exit_code = 1


@dataclass
class Part:
    """A process that belongs to an installation.

    Attributes:
        name: before each of its lines.
        address: where it is asked, for a person.
        ready: address that answers once it is up, with any status below 500.
        again: whether it is started again when it ends.
    """

    name: str
    command: Sequence[str]
    address: str
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)
    again: bool = True
    process: subprocess.Popen[bytes] | None = None
    _started: list[float] = field(default_factory=list)

    def start(self, before: Callable[[], None] | None) -> subprocess.Popen[bytes]:
        """Start it in a session of its own: Ctrl-C reaches it through us, once.

        Raises:
            PartEnded: it was started too often lately.
        """
        now = time.monotonic()
        self._started = [at for at in self._started if now - at < WITHIN] + [now]
        if len(self._started) > RESTARTS + 1:
            raise PartEnded(f"{self.name} ended {RESTARTS + 1} times within {WITHIN:.0f} s")
        self.process = subprocess.Popen(
            self.command, env={**os.environ, **self.environment}, start_new_session=True, preexec_fn=before,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        Thread(target=self._pass_on, args=(self.process,), daemon=True).start()
        return self.process

    def _pass_on(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        for line in process.stdout:
            sys.stdout.write(f"{self.name} | {line.decode(errors='replace')}")
            sys.stdout.flush()

    def ended(self) -> bool:
        """Whether its process ended."""
        return self.process is not None and self.process.poll() is not None

    def answers(self) -> bool:
        """Whether it is up."""
        with suppress(httpx.TransportError):
            return httpx.get(self.ready, timeout=5, trust_env=False).status_code < 500
        return False

    def stop(self) -> None:
        """Ask it to end; `wait` sees to it that it does."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self, within: float) -> None:
        """Wait until it has ended; whatever of it is left is killed."""
        if self.process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
        for left in _session(self.process.pid):
            with suppress(psutil.NoSuchProcess):
                left.kill()
        self.process.wait()


def _session(number: int) -> list[psutil.Process]:
    members = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == number:
                members.append(process)
    return members


def other_parts(here: Settings, only: Sequence[str]) -> list[Part]:
    """The parts beside Dagit that are wanted and that nobody runs already."""
    parts = []
    own = [sys.executable, "-m", "e2i_assets.cli.main"]
    if "mlflow" in only and not here.mlflow_tracking_uri:
        port = urlsplit(here.mlflow_url).port or MLFLOW_PORT
        address = f"http://127.0.0.1:{port}"
        command = mlflow_command("127.0.0.1", port)
        parts.append(Part("mlflow", command, address, f"{address}/health", mlflow_environment(here)))
    if "services" in only:
        address = ", ".join(here.service_url(service) for service in here.service_ports)
        if (process := reconciler_of(here.home_dir)) is not None:
            say(f"services: {address}, already in the background ({process.pid}); `e2i down` ends them")
        else:
            parts.append(Services("services", [*own, "serve"], address, "", here=here))
    if "api" in only:
        address = f"http://{here.serving_host}:{here.api_port}"
        ready = f"http://127.0.0.1:{here.api_port}/api/models"
        parts.append(Part("api", [*own, "api"], address, ready))
    return parts


@dataclass
class Services(Part):
    """Router and reconciler: a service without a release answers that it has none.

    Attributes:
        here: whose services they are; they are in sessions of their own, and outlive a reconciler that is
            killed.
    """

    here: Settings = field(kw_only=True)

    def wait(self, within: float) -> None:
        """Wait until all services have answered what they had begun; whatever is left is ended."""
        super().wait(3 * within)
        end_services(self.here.serving_dir)

    def answers(self) -> bool:
        """Whether the router is up, not somebody else's at the same address, and so is each release."""
        if not all(map(self._answers, self.here.service_ports)):
            return False
        return bool(processes.marked(router.mark(self.here.serving_dir)))

    def _answers(self, service: str) -> bool:
        """Whether a service does; where it has no release, a 503 of the router is its answer."""
        with suppress(httpx.TransportError):
            answer = httpx.get(f"{self.here.service_url(service)}/health", timeout=10, trust_env=False)
            slots = slots_of(self.here, service).values()
            return answer.status_code < 500 or not any(slot["release"] for slot in slots)
        return False


def tell_when_ready(parts: Sequence[Part], stopped: Callable[[], bool]) -> None:
    """Say of each part that it answers; at the end that all do."""
    deadline = time.monotonic() + READY_WITHIN
    waiting = list(parts)
    while waiting and not stopped() and time.monotonic() < deadline:
        for part in [part for part in waiting if part.answers()]:
            say(f"{part.name}: {part.address}")
            sys.stdout.flush()
            waiting.remove(part)
        time.sleep(0.2)
    if waiting and not stopped():
        say(f"{', '.join(part.name for part in waiting)}: no answer within {READY_WITHIN:.0f} s")
    elif not stopped():
        say("all of it answers; Ctrl-C stops it")
    sys.stdout.flush()
