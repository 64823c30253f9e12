"""One run of a partition at a time: of two that race one waits, and what was killed holds nobody up."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from e2i_assets.gates.verdict import Verdict
from e2i_assets.settings import Settings
from e2i_assets.warehouse import turns
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.turns import turn
from e2i_assets_tests.integration.gate_world import OTHER, PARTITION, Number, World, positive


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.05)


def waits(world: World, run_id: str) -> list[str]:
    messages = [entry.user_message for entry in world.instance.all_logs(run_id)]
    return [message for message in messages if message.startswith("waits: ")]


def test_of_two_runs_of_a_partition_that_race_the_second_waits_and_reuses(platform: SimpleNamespace) -> None:
    world, both, inside, most = World(platform), threading.Barrier(2), [0], [0]

    def judge(number: Number) -> Verdict:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.3)
        inside[0] -= 1
        return positive(number)

    def run(_: int) -> dg.ExecuteInProcessResult:
        both.wait()
        return world.run()

    world.judge = judge
    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(run, range(2)), key=lambda result: len(waits(world, result.run_id)))
    assert first.success
    assert second.success
    assert most == [1]
    assert world.computed == ["upstream", "downstream of 1"]
    assert waits(world, second.run_id) == [
        f"waits: run {first.run_id} has {PARTITION}, one run of a partition goes on at a time"
    ]


def hold(here: Settings, held: Any) -> None:
    with turn(here, PARTITION, "killed", on_wait=print):
        held.set()
        threading.Event().wait()


def test_a_process_that_is_killed_leaves_the_partition_free(here: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(here, held))
    process.start()
    assert held.wait(60)
    holders: list[str] = []

    def killed_now(run_id: str) -> None:
        holders.append(run_id)
        process.kill()

    with ExitStack() as held_here:
        held_here.enter_context(turn(here, OTHER, "other", on_wait=holders.append))
        assert holders == []  # another partition is not waited for
        held_here.enter_context(turn(here, PARTITION, "mine", on_wait=killed_now))
    process.join()
    assert holders == ["killed"]


def test_without_a_database_there_is_no_turn(here: Settings) -> None:
    nowhere = SecretStr("postgresql://nobody:secret@127.0.0.1:1/gone")
    gone = here.model_copy(update={"database_url": nowhere})
    with pytest.raises(WarehouseUnavailable, match="does not answer") as refused, ExitStack() as stack:
        stack.enter_context(turn(gone, PARTITION, "mine", on_wait=print))
    assert "secret" not in refused.value.summary
