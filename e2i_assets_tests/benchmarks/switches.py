"""Switches, rollbacks and kills under steady requests: what is lost, and how long it takes.

`python -m e2i_assets_tests.benchmarks.switches [ROUNDS]`; real processes, an embedded PostgreSQL of its own.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Callable

import psutil

from e2i_assets.deployment.rollback import roll_back
from e2i_assets.deployment.status import slots_of
from e2i_assets.deployment.wishes import deploy
from e2i_assets.settings import Settings
from e2i_assets.warehouse.failures import database_failure
from e2i_assets.warehouse.postgres import export
from e2i_assets.warehouse.queries.deployments import history, is_reconciled
from e2i_assets.warehouse.queries.registry import model_of
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import postgres_home
from e2i_assets_tests.deployment_world import (
    MODEL,
    SERVICE,
    Load,
    Reconciling,
    load,
    move,
    reconciling,
    register,
    right_answers,
    until,
)
from e2i_assets_tests.serve_process import serving_environment

ROUNDS = 20
RATE = 120.0
PENALTIES = {1: 1.0, 2: 0.01, 3: 10.0}


class Bench:
    """An installation with two versions, under load."""

    def __init__(self, here: Settings, warehouse: Warehouse, serving: Reconciling, under: Load) -> None:
        self.here, self.warehouse, self.serving, self.under = here, warehouse, serving, under

    def switch(self, version: str, wish: Callable[[], object]) -> float:
        """Seconds from a wish to the first answer of a version; returns when it is settled."""
        start = time.monotonic()
        wish()
        until(lambda: self.under.newest() == version, f"version {version} answers")
        first = self.under.first(version, start)
        self.settled()
        until(lambda: self.under.newest() == version, "only the new one answers")
        assert first
        return first - start

    def forward(self) -> object:
        """Wish for the registry's version, which is promoted again after a rollback."""
        if model_of(self.warehouse, MODEL).stage(2) == "development":
            move(self.warehouse, MODEL, 2, "development", "staging")
        return deploy(self.warehouse, [MODEL], by="bench")

    def back(self) -> object:
        """Wish for the release before."""
        return roll_back(self.warehouse, self.here, MODEL, None, by="bench")

    def settled(self) -> None:
        """Wait until nothing is wanted any more, and both slots run."""
        until(lambda: self._state() == ["ready", "ready"], "both run, nothing is wanted", every=0.25)

    def _state(self) -> list[str]:
        try:
            if any(one.status == "wanted" for one in history(self.warehouse, SERVICE)):
                return []
        except Exception as error:
            if database_failure(error) is None:
                raise
            return []
        slots = slots_of(self.here, SERVICE)
        return [one["phase"] if psutil.pid_exists(one["pid"] or 0) else "gone" for one in slots.values()]

    def active(self) -> tuple[str, str]:
        """The slot that answers, and the other."""
        blue = (self.here.serving_dir / SERVICE / "blue.active").exists()
        return ("blue", "green") if blue else ("green", "blue")

    def kill(self, what: str, kill: Callable[[], object]) -> None:
        """Kill something; tell what was lost until all is as it should be."""
        lost, slow, asked = (
            sum(self.under.failures.values()),
            len(self.under.latencies),
            len(self.under.answers),
        )
        start = time.monotonic()
        kill()
        time.sleep(1.5)
        until(lambda: is_up(self.warehouse), "a reconciler")
        self.settled()
        took = time.monotonic() - start
        time.sleep(1.0)
        lost = sum(self.under.failures.values()) - lost
        worst = max(self.under.latencies[slow:])
        sent = len(self.under.answers) - asked + lost
        print(
            f"SIGKILL of {what}: {lost} of {sent} requests lost, slowest {worst:.2f} s, as wanted after {took:.1f} s"
        )


def is_up(warehouse: Warehouse) -> bool:
    """Whether a reconciler runs; not while the database is away."""
    try:
        return is_reconciled(warehouse)
    except Exception as error:
        if database_failure(error) is None:
            raise
        return False


def main() -> None:
    """Run all of it and print the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with postgres_home() as home:
        here = Settings(home=home / "home")
        export(here)
        warehouse = Warehouse(here)
        register(here, warehouse, 1, PENALTIES[1])
        environment = serving_environment()
        with reconciling(here, environment, home / "serve.log") as serving:
            until(lambda: is_reconciled(warehouse), "a reconciler")
            deploy(warehouse, None, by="bench")
            until(lambda: [one.status for one in history(warehouse)] == ["active"], "the first release")
            url = f"http://127.0.0.1:{environment['E2I_CLASSIFICATION_PORT']}"
            with load(url, right_answers(PENALTIES), RATE) as under:
                bench = Bench(here, warehouse, serving, under)
                register(here, warehouse, 2, PENALTIES[2])
                started = bench.switch("2", bench.forward)
                print(f"a new release, built, started and switched to: {started:.1f} s")
                _switches(bench, rounds)
                _kills(bench)
            print(
                f"in all: {len(under.answers)} answers, {sum(under.failures.values())} lost "
                f"{dict(under.failures)}, {under.wrong} not of the version that gave them"
            )


def _switches(bench: Bench, rounds: int) -> None:
    under, start, lost = bench.under, len(bench.under.answers), sum(bench.under.failures.values())
    begun = time.monotonic()
    back, forward = [], []
    for _ in range(rounds):
        back.append(bench.switch("1", bench.back))
        forward.append(bench.switch("2", bench.forward))
    seconds = time.monotonic() - begun
    answers = len(under.answers) - start
    latencies = sorted(under.latencies[start:])
    print(
        f"{rounds} switches and {rounds} rollbacks at {answers / seconds:.0f} requests/s: "
        f"{sum(under.failures.values()) - lost} of {answers} requests lost, {under.wrong} wrong answers; "
        f"rollback to the first answer median {statistics.median(back):.2f} s, longest {max(back):.2f} s; "
        f"switch {statistics.median(forward):.2f} s, {max(forward):.2f} s; "
        f"latency p50 {1000 * latencies[len(latencies) // 2]:.1f} ms, "
        f"p99 {1000 * latencies[int(0.99 * len(latencies))]:.1f} ms"
    )


def _kills(bench: Bench) -> None:
    def all_of(slot: str) -> None:
        for process in bench.serving.marked(slot):
            process.kill()

    def green_before_the_switch() -> None:
        register(bench.here, bench.warehouse, 3, PENALTIES[3])
        bench.forward()
        _, other = bench.active()
        until(lambda: slots_of(bench.here, SERVICE)[other]["phase"] == "starting", "green starts")
        time.sleep(2.0)
        all_of(other)

    def postgres() -> None:
        number = int((bench.here.home_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0])
        os.kill(number, signal.SIGKILL)

    def reconciler() -> None:
        bench.serving.kill()
        bench.serving.start()

    bench.kill("green before the switch", green_before_the_switch)
    bench.kill("blue, warm after the switch", lambda: all_of(bench.active()[1]))
    bench.kill("the process that answers", lambda: all_of(bench.active()[0]))
    bench.kill("the router", lambda: all_of("router"))
    bench.kill("the reconciler", reconciler)
    bench.kill("PostgreSQL", postgres)


if __name__ == "__main__":
    main()
