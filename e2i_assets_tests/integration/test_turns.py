"""One run of a partition at a time: of two that race one waits, and what was killed holds nobody up."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from e2i_assets.cli.runner import _error, _was_interrupted
from e2i_assets.gates.verdict import Verdict
from e2i_assets.resources import retries
from e2i_assets.settings import Settings
from e2i_assets.warehouse import turns
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.turns import Turn
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.gate_world import OTHER, PARTITION, UPSTREAM, Number, World, positive


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.05)


def waits(world: World, result: dg.ExecuteInProcessResult) -> list[str]:
    messages = [entry.user_message for entry in world.instance.all_logs(result.run_id)]
    return [message for message in messages if message.startswith("waits: ")]


def test_of_two_runs_of_a_partition_that_race_the_second_waits_and_reuses(
    platform: SimpleNamespace, tmp_path: Path
) -> None:
    instance = dg.DagsterInstance.local_temp(str(tmp_path))  # in memory there is one of a thread
    both, inside, most, computed = threading.Barrier(2), [0], [0], list[str]()

    def judge(number: Number) -> Verdict:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.3)
        inside[0] -= 1
        return positive(number)

    def run(world: World) -> tuple[dg.ExecuteInProcessResult, list[str]]:
        world.judge, world.computed, world.instance = judge, computed, instance
        both.wait()
        result = world.run()
        return result, waits(world, result)

    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(run, [World(platform), World(platform)]), key=lambda ran: len(ran[1]))
    assert first[0].success
    assert second[0].success
    assert most == [1]
    assert computed == ["upstream", "downstream of 1"]
    other = first[0].run_id
    assert second[1] == [f"waits: run {other} has {PARTITION}, one run of a partition goes on at a time"]


def hold(here: Settings, held: Any) -> None:
    with Turn(here, PARTITION, "killed", on_wait=print):
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
        held_here.enter_context(Turn(here, OTHER, "other", on_wait=holders.append))
        assert holders == []  # another partition is not waited for
        held_here.enter_context(Turn(here, PARTITION, "mine", on_wait=killed_now))
    process.join()
    assert holders == ["killed"]


def test_without_a_database_there_is_no_Turn(here: Settings) -> None:
    nowhere = SecretStr("postgresql://nobody:secret@127.0.0.1:1/gone")
    gone = here.model_copy(update={"database_url": nowhere})
    with pytest.raises(WarehouseUnavailable, match="does not answer") as refused, ExitStack() as stack:
        stack.enter_context(Turn(gone, PARTITION, "mine", on_wait=print))
    assert "secret" not in refused.value.summary


class Taken(Exception):
    """Somebody else has the partition."""


def taken(_: str) -> None:
    raise Taken


def test_a_turn_whose_connection_was_lost_is_taken_again(here: Settings, warehouse: Warehouse) -> None:
    end = sa.text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :name"
    )
    with Turn(here, PARTITION, "mine", on_wait=taken) as turn:
        with warehouse.engine.connect() as connection:
            assert connection.scalar(end, {"name": "e2i run mine"}) == 1
        turn.keep()
        with pytest.raises(Taken):
            Turn(here, PARTITION, "another", on_wait=taken).keep()


@pytest.mark.parametrize("times", [1, 99])
def test_a_lost_connection_is_tried_again_and_a_refusal_is_not(
    platform: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(retries, "SECONDS", 0)
    world, lost = World(platform), [psycopg.OperationalError("server closed the connection")] * times

    def publish() -> None:
        if lost:
            raise sa.exc.OperationalError("SELECT 'a patient'", {}, lost.pop())

    world.hooked, world.on_publish = True, publish
    result = world.run(UPSTREAM)
    if times == 1:
        assert result.success
        assert world.computed == ["upstream"] * 2
    else:
        assert not result.success
        assert world.computed == ["upstream"] * (1 + retries.TRIES)
        assert "the database was lost: server closed the connection" in (_error(result) or "")
        events = str([event.step_failure_data for event in result.all_events if event.is_step_failure])
        assert "a patient" not in events
    world.computed.clear()
    world.numbers[PARTITION] = -1
    assert not world.run(UPSTREAM).success
    assert world.computed == ["upstream"]


@pytest.mark.parametrize(
    ("raised", "interrupted", "said"),
    [
        (KeyboardInterrupt(), True, ""),
        (WarehouseUnavailable("the database is gone.", "Start it."), False, "the database is gone."),
    ],
)
def test_what_ends_a_wait_is_told_as_what_it_is(
    platform: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    interrupted: bool,
    said: str,
) -> None:
    def keep(_: Turn) -> None:
        raise raised

    monkeypatch.setattr(Turn, "keep", keep)
    result = World(platform).run()
    assert not result.success
    assert _was_interrupted(result) is interrupted
    assert said in (_error(result) or "")
