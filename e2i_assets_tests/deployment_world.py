"""An installation with registered versions of a toy model, its services as processes, and load on them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import httpx
import psutil
from sklearn.linear_model import LogisticRegression

from e2i_assets.cli.serve import reconciler_of
from e2i_assets.deployment import processes
from e2i_assets.file_hashes import hash_of, hashes
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.registry.ledger import Entry, Version
from e2i_assets.serving import bento_store, build_bundle
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.registry import clock, registry
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, USUAL, toy_pipeline

T = TypeVar("T")
MODEL, SERVICE = "e2i-toy-p", "classification-service"


def register(here: Settings, warehouse: Warehouse, number: int, penalty: float) -> Version:
    """A toy model, bundled and registered in staging."""
    answer = Binary().answer([0, 1], "initiated", 0.5)
    with bento_store(here.bento_home):
        bundle = build_bundle(
            toy_pipeline(LogisticRegression(C=penalty)), FEATURES, name=MODEL, version=f"v{number}",
            answer=answer, metadata={}, levels=LEVELS, usual=USUAL,
        )  # fmt: skip
    return in_staging(warehouse, MODEL, number, bundle.tag, hash_of(hashes(bundle.path)))


def in_staging(
    warehouse: Warehouse, name: str, number: int, tag: str = "none:1", files_hash: str | None = None
) -> Version:
    """A version on record, registered and in staging; its bundle need not be there."""
    version = Version(
        name, "toy", "p", "binary", "LogisticRegression", f"model{number}", SERVICE, tag,
        files_hash or f"{number:016x}", "data", {}, {}, {}, "mlflow", "run",
        version=number, mlflow_version=number, created_at=clock(warehouse),
    )  # fmt: skip
    with registry(warehouse) as ledger:
        ledger.add(version)
    move(warehouse, name, number, None, "development")
    move(warehouse, name, number, "development", "staging")
    return version


def move(warehouse: Warehouse, name: str, number: int, before: str | None, after: str) -> None:
    """An entry of the ledger, whatever the promotion rules say."""
    with registry(warehouse) as ledger:
        approved = (before, after) == ("shadow", "production")
        for event in [*(["requested"] if approved else []), "moved" if before else "registered"]:
            sequence, at = ledger.model(name).next_sequence, ledger.now()
            by = "Bert Jones" if approved and event == "moved" else None
            ledger.append(
                Entry(name, sequence, number, event, before, after, "Anna Smith", "test", at, approved_by=by)
            )


class Reconciling:
    """`e2i serve` as a process."""

    def __init__(self, here: Settings, environment: Mapping[str, str], log: Path) -> None:
        self.here, self.log = here, log
        self._environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "e2i_assets.cli.main", "serve"]
            self.process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait(90)

    def marked(self, slot: str) -> list[psutil.Process]:
        """Processes of a slot of the service, or of the router."""
        folder = self.here.serving_dir
        return processes.marked(f"{folder}:router" if slot == "router" else f"{folder / SERVICE}:{slot}")


@contextmanager
def reconciling(here: Settings, environment: Mapping[str, str], log: Path) -> Iterator[Reconciling]:
    """Services of an installation; every process is gone at the end, whatever was killed in between."""
    world = Reconciling(here, environment, log)
    world.start()
    try:
        yield world
    finally:
        with suppress(subprocess.TimeoutExpired):
            world.stop()
        for slot in ("router", "blue", "green"):
            for left in world.marked(slot):
                left.kill()
        if process := reconciler_of(here.home_dir):
            process.kill()


def until(seen: Callable[[], T | None], what: str, within: float = 120.0, every: float = 0.02) -> T:
    """Wait for something, which is looked for every so many seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if result := seen():
            return result
        time.sleep(every)
    raise AssertionError(f"not within {within:.0f} s: {what}")


@dataclass
class Load:
    """Requests at a steady rate, and what became of them.

    Attributes:
        answers: time and version of each answer.
        failures: what each request without an answer ended in.
        wrong: answers that are not those of the version that gave them.
    """

    url: str
    rate: float
    known: Mapping[str, float]
    answers: list[tuple[float, str]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    _stopped: Event = field(default_factory=Event)

    def newest(self) -> str | None:
        """The version that answered last."""
        return self.answers[-1][1] if self.answers else None

    def first(self, version: str, after: float) -> float | None:
        """When a version answered for the first time after a moment (of `time.monotonic`)."""
        return next((at for at, of in list(self.answers) if at > after and of == version), None)

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        async with httpx.AsyncClient(timeout=20, limits=limits, trust_env=False) as client:
            pending: set[asyncio.Task[None]] = set()
            due = time.monotonic()
            while not self._stopped.is_set():
                due += 1 / self.rate
                task = asyncio.create_task(self._ask(client))
                pending.add(task)
                task.add_done_callback(pending.discard)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await asyncio.gather(*pending)

    async def _ask(self, client: httpx.AsyncClient) -> None:
        start = time.monotonic()
        try:
            response = await client.post(f"{self.url}/{MODEL}/predict", json={"features": ROW})
        except httpx.TransportError as error:
            self.failures[type(error).__name__] += 1
            return
        if response.status_code != 200:
            self.failures[str(response.status_code)] += 1
            return
        answer: dict[str, Any] = response.json()
        version = str(answer["_metadata"]["version"])
        now = time.monotonic()
        self.latencies.append(now - start)
        self.answers.append((now, version))
        self.wrong += abs(answer["predictions"][0] - self.known[version]) > 1e-6


@contextmanager
def load(url: str, known: Mapping[str, float], rate: float) -> Iterator[Load]:
    """Requests for the toy model, so many a second, while the block lasts.

    Args:
        known: version to its right answer.
    """
    under = Load(url, rate, known)
    thread = Thread(target=lambda: asyncio.run(under._run()))
    thread.start()
    try:
        yield under
    finally:
        under._stopped.set()
        thread.join()


def right_answers(penalties: Mapping[int, float]) -> dict[str, float]:
    """What each version of the toy model answers to the toy's row."""
    import pandas as pd

    row = pd.DataFrame([ROW]).astype({"age": float, "uas7": float, "biologic": float, "region": object})
    return {
        str(number): float(toy_pipeline(LogisticRegression(C=penalty)).predict_proba(row)[0, 1])
        for number, penalty in penalties.items()
    }
