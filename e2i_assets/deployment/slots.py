"""The two places for a service's processes, blue and green, and what is known of what runs in each.

What is known is a file, so that a reconciler that starts anew takes up what runs. Nothing is decided here.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from e2i_assets.deployment import processes
from e2i_assets.deployment.decision import Phase, Slot
from e2i_assets.deployment.golden import golden_refusal
from e2i_assets.deployment.releases import Members
from e2i_assets.deployment.router import LOOPBACK

log = logging.getLogger("e2i.serving")
NAMES = ("blue", "green")
STARTS_WITHIN = 180.0
"""Seconds from the start of a process, whose Bento may have to be built first, to its first answer."""
PROVEN = 300.0
"""Seconds after which a process that ends does not count as one that does not come up."""
WATCHED_FOR = 600.0
"""Seconds after a switch in which an error rate takes it back."""
ENOUGH = 20
"""Requests from which on a share of errors says something."""


@dataclass
class Facts:
    """What the file says of a slot; times are those of the machine's clock.

    Attributes:
        family: the processes when it became ready, each by number and creation.
    """

    release: str | None = None
    phase: Phase = "empty"
    port: int = 0
    family: list[processes.Known] | None = None
    starts: int = 0
    started_at: float = 0.0
    switched_at: float = 0.0
    checked_at: float = 0.0
    failed_checks: int = 0
    unreachable: bool = False
    error_rate: float | None = None
    refusal: str | None = None


class Slots:
    """Blue and green of one service."""

    def __init__(
        self, service: str, folder: Path, bento_home: Path, ports: tuple[int, int], health_seconds: float
    ) -> None:
        self.service = service
        self._folder, self._bento_home = folder, bento_home
        self._health_seconds = health_seconds
        self._client = httpx.Client(timeout=10.0, trust_env=False)
        self._note = folder / "slots.json"
        self._facts = {name: Facts(port=port) for name, port in zip(NAMES, ports, strict=True)}
        self._noted, self._unwritten = "", False
        self.died: list[tuple[str, str]] = []
        """Release and reason of each process that was ready and is gone, until somebody takes note."""
        folder.mkdir(parents=True, exist_ok=True)
        self._take_up()

    def _take_up(self) -> None:
        """Go on with what runs; what is not as it was written down is ended, to be started anew."""
        try:
            noted = json.loads(self._note.read_text())
        except (FileNotFoundError, ValueError):
            noted = {}
        for name, facts in self._facts.items():
            before = Facts(**noted.get(name, {}))
            if before.port == facts.port and before.family and all(map(processes.runs, before.family)):
                self._facts[name] = before
                continue
            processes.end(self.mark(name))
            self._file(name).unlink(missing_ok=True)
            if before.release:
                facts.release, facts.phase = before.release, "dead"

    def mark(self, name: str) -> str:
        """Mark of a slot's processes."""
        return f"{self._folder}:{name}"

    def log(self, name: str) -> Path:
        """What a slot's processes say."""
        return self._folder / f"{name}.log"

    def url(self, name: str) -> str:
        """Address of a slot's process."""
        return f"http://{LOOPBACK}:{self._facts[name].port}"

    def observe(self) -> tuple[Slot, ...]:
        """Both slots as they are now."""
        for name, facts in self._facts.items():
            # Where the clock was set back, nothing lies in its future: it would be waited for.
            for moment in ("started_at", "switched_at", "checked_at"):
                setattr(facts, moment, min(getattr(facts, moment), time.time()))
            if facts.phase == "starting":
                self._look_for_start(name, facts)
            elif facts.phase == "ready" and not all(map(processes.runs, facts.family or ())):
                facts.phase = "dead"
                facts.starts = 0 if time.time() - facts.started_at > PROVEN else facts.starts
                self.died.append((str(facts.release), f"the process in {name} ended"))
            if facts.phase == "ready" and self._file(name).exists():
                self._check_health(name, facts)
        self._write()
        return tuple(self._slot(name, facts) for name, facts in self._facts.items())

    def describe(self) -> dict[str, dict[str, Any]]:
        """Both slots for a person."""
        return {
            name: {
                "release": facts.release, "phase": facts.phase, "active": self._file(name).exists(),
                "port": facts.port, "pid": facts.family[0][0] if facts.family else None,
                "refusal": facts.refusal,
            }
            for name, facts in self._facts.items()
        }  # fmt: skip

    def start(self, name: str, release: str, members: Members, log_url: str | None) -> None:
        """Start a release in a slot, whose processes are ended first; a Bento that is not there is built."""
        processes.end(self.mark(name))
        self._file(name).unlink(missing_ok=True)
        self._refusal(name).unlink(missing_ok=True)
        before = self._facts[name]
        again = before.starts if before.release == release else 0
        facts = Facts(release, "starting", before.port, starts=again + 1, started_at=time.time())
        self._facts[name] = facts
        self._write()  # before there is a process: its mark is known already
        order = {
            "service": self.service, "release": release, "port": facts.port,
            "members": [vars(one) for one in members], "refusal": str(self._refusal(name)),
        }  # fmt: skip
        self._order(name).write_text(json.dumps(order))
        environment = {
            "BENTOML_HOME": str(self._bento_home),
            "E2I_ACTIVE_FILE": str(self._file(name)),
            "OMP_NUM_THREADS": "1",
            **({"E2I_PREDICTION_LOG_URL": log_url} if log_url else {}),
        }
        command = [sys.executable, "-m", "e2i_assets.deployment.process", str(self._order(name))]
        facts.family = [processes.start(command, self.mark(name), self.log(name), environment)]
        self._write()

    def stop(self, name: str) -> None:
        """End a slot's processes, which answer what they have begun."""
        self._file(name).unlink(missing_ok=True)
        processes.end(self.mark(name))
        self._facts[name] = Facts(port=self._facts[name].port)
        self._write()

    def refuse(self, name: str, members: Members) -> bool:
        """Ask a slot's process the golden requests; whether it is refused."""
        facts = self._facts[name]
        folder = self._bento_home / "bentos" / self.service / str(facts.release) / "src" / "models"
        facts.refusal = golden_refusal(self.url(name), folder, members, self._client)
        return facts.refusal is not None

    def activate(self, name: str) -> None:
        """Have the router ask a slot."""
        facts = self._facts[name]
        facts.switched_at, facts.failed_checks, facts.error_rate = time.time(), 0, None
        facts.checked_at = facts.switched_at
        self._file(name).touch()

    def retire(self, names: Iterable[str]) -> None:
        """Have the router no longer ask slots; what they have begun they answer, and they stay warm."""
        for name in names:
            self._file(name).unlink(missing_ok=True)

    def shut_down(self) -> None:
        """End all processes of the service, and know that they were meant to."""
        self.retire(NAMES)
        processes.end(*map(self.mark, NAMES))
        for name, before in self._facts.items():
            phase: Phase = "dead" if before.release else "empty"
            self._facts[name] = Facts(before.release, phase, before.port)
        self._write()
        self._client.close()

    def _slot(self, name: str, facts: Facts) -> Slot:
        return Slot(
            name, facts.release, facts.phase, self._file(name).exists(), facts.starts, facts.failed_checks,
            facts.unreachable, facts.error_rate, facts.refusal,
        )  # fmt: skip

    def _look_for_start(self, name: str, facts: Facts) -> None:
        if self._refusal(name).exists():
            facts.refusal = self._refusal(name).read_text()
        if not facts.family or not all(map(processes.runs, facts.family)) or facts.refusal:
            facts.phase = "dead"  # without a family, it could not be started: the disk was full
        elif time.time() - facts.started_at > STARTS_WITHIN:
            facts.phase, facts.refusal = "dead", f"it did not answer within {STARTS_WITHIN:.0f} s"
        elif self._health(name) is not None:
            facts.family = processes.known(processes.marked(self.mark(name)))
            facts.phase = "ready"
        elif failed := _why_not(self.log(name)):
            facts.phase, facts.refusal = "dead", failed
        if facts.phase == "dead":
            processes.end(self.mark(name))

    def _check_health(self, name: str, facts: Facts) -> None:
        """Every half minute (guide): three failures in a row are too many, as is a share of errors."""
        now = time.time()
        if now - facts.checked_at < self._health_seconds:
            return
        facts.checked_at = now
        health = self._health(name)
        facts.unreachable = health is None
        if health is None or health["status"] == "unhealthy":
            facts.failed_checks += 1
        else:
            facts.failed_checks, facts.starts = 0, 0
        watched = now - facts.switched_at < WATCHED_FOR
        facts.error_rate = _worst(health) if health and watched else None

    def answers_at(self, address: str, name: str) -> bool:
        """Whether it is the release of this process that answers at an address, the router's."""
        return self._health(name, address) is not None

    def _health(self, name: str, address: str | None = None) -> dict[str, Any] | None:
        """What a process says of its release; None where there is no answer, or not of that release."""
        try:
            response = self._client.get(f"{address or self.url(name)}/health")
            health = response.json() if response.status_code == 200 else None
        except (httpx.TransportError, ValueError):
            return None
        expected = f"{self.service}:{self._facts[name].release}"
        return health if health and health.get("release") == expected else None

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.active"

    def _order(self, name: str) -> Path:
        return self._folder / f"{name}.order.json"

    def _refusal(self, name: str) -> Path:
        return self._folder / f"{name}.refusal"

    def _write(self) -> None:
        text = json.dumps({name: vars(facts) for name, facts in self._facts.items()}, indent=1)
        if text == self._noted:
            return
        part = self._note.with_suffix(f".{os.getpid()}")
        try:
            part.write_text(text)
            part.replace(self._note)
        except OSError as error:
            # A full disk keeps nobody from looking after what runs; it is written once there is room.
            if not self._unwritten:
                log.warning("%s: %s cannot be written: %s", self.service, self._note, error.strerror)
            self._unwritten = True
        else:
            self._noted, self._unwritten = text, False


def _worst(health: Mapping[str, Any]) -> float | None:
    """The greatest share of errors of the service and of each of its models that was asked often enough."""
    levels = [health, *health.get("models", {}).values()]
    return max((of["error_rate"] for of in levels if of.get("requests", 0) >= ENOUGH), default=None)


def _why_not(log: Path) -> str | None:
    """Why a process refuses to serve, where it says so."""
    reasons = re.findall(r"^(?:\w+\.)*RuntimeError: (.*)$", log.read_text(errors="replace"), re.MULTILINE)
    return str(reasons[-1]) if reasons else None
