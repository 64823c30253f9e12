"""The sensor for new data against a warehouse and a Dagster instance: what it requests, remembers and raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from e2i_assets.automation.attempts import LOAD, MAX_ATTEMPTS
from e2i_assets.automation.jobs import REFRESH
from e2i_assets.automation.sensors import NEWEST_RAW
from e2i_assets.build import build_defs, build_resources
from e2i_assets.resources.store import ArtifactStore, Published
from e2i_assets.settings import Settings
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.queries.alerts import alerts
from e2i_assets.warehouse.warehouse import Warehouse

CSU, PNH = "Remibrutinib/csu", "Fabhalta/pnh"
FIRST, SECOND = "remibrutinib_csu", "fabhalta_pnh"


@dataclass
class World:
    here: Settings
    warehouse: Warehouse
    store: ArtifactStore
    instance: dg.DagsterInstance
    cursor: str | None = None

    def load(self, *touched: str) -> None:
        insert = sa.text("INSERT INTO e2i.ml_load_batches (source, partitions) VALUES ('feed', :touched)")
        with self.warehouse.engine.begin() as connection:
            connection.execute(insert, {"touched": json.dumps(touched)})

    def tick(self) -> dict[str, str]:
        """Partition to run key of what a tick requests; the cursor is kept for the next."""
        sensor, resources = (
            build_defs(self.here).resolve_sensor_def("new_data_sensor"),
            build_resources(self.here),
        )
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={name: resources[name] for name in sensor.required_resource_keys},
            definitions=build_defs(self.here),
        ) as context:
            tick = sensor.evaluate_tick(context)
        self.cursor = tick.cursor
        requests = tick.run_requests or []
        assert len({request.partition_key for request in requests}) == len(requests)
        return {str(request.partition_key): str(request.run_key) for request in requests}

    def ran(self, partition: str, load: int, status: dg.DagsterRunStatus) -> str:
        run = dg.DagsterRun(REFRESH, status=status, tags={"dagster/partition": partition, LOAD: str(load)})
        self.instance.add_run(run)
        return run.run_id

    def extracted(self, partition: str, load: int, run_id: str) -> None:
        self.store.publish(
            Published(NEWEST_RAW, partition, "0" * 16, "", attributes={"load": load}, run_id=run_id)
        )


@pytest.fixture
def world(here: Settings, warehouse: Warehouse) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(here, warehouse, build_resources(here)["store"], instance)


def test_a_burst_of_loads_is_one_run_of_each_partition_until_it_has_answered(world: World) -> None:
    for touched in ([CSU, PNH], [CSU], [PNH], [CSU]):
        world.load(*touched)
    due = {FIRST: f"{FIRST}-load-4-attempt-1", SECOND: f"{SECOND}-load-3-attempt-1"}
    assert world.tick() == due
    assert world.tick() == due  # a tick whose requests were lost asks for the same keys
    world.extracted(FIRST, 4, world.ran(FIRST, 4, dg.DagsterRunStatus.SUCCESS))
    world.ran(SECOND, 3, dg.DagsterRunStatus.FAILURE)
    assert world.tick() == {}  # answered; died a moment ago
    assert json.loads(world.cursor or "") == {FIRST: 4}
    world.load(CSU)
    assert world.tick() == {FIRST: f"{FIRST}-load-5-attempt-1"}


def test_a_load_whose_runs_all_died_is_given_up_with_an_alert(world: World) -> None:
    world.load(CSU)
    for _ in range(MAX_ATTEMPTS):
        world.ran(FIRST, 1, dg.DagsterRunStatus.FAILURE)
    assert [world.tick(), world.tick()] == [{}, {}]
    (alert,) = alerts(world.warehouse)
    assert (alert.kind, alert.severity, alert.partition, alert.raised) == ("refresh", "high", FIRST, 1)
    assert alert.next_step.endswith(f"e2i materialize -p {FIRST}")
    world.load(CSU)
    assert world.tick() == {FIRST: f"{FIRST}-load-2-attempt-1"}


def test_what_cannot_be_read_is_told_and_asks_for_nothing(world: World) -> None:
    world.load(CSU, PNH)
    world.extracted(FIRST, 0, "earlier")
    pointer = Path(world.here.artifacts_url) / NEWEST_RAW / FIRST / "current.json"
    pointer.write_text("{")
    assert list(world.tick()) == [SECOND]
    (alert,) = alerts(world.warehouse)
    assert (alert.kind, alert.partition) == ("sensor", FIRST)
    assert "damaged" in alert.message
    assert "--force" in alert.next_step
    # Not settled: once it can be read the load is due.
    pointer.unlink()
    assert set(world.tick()) == {FIRST, SECOND}


def test_without_its_database_a_tick_fails_and_keeps_its_cursor(world: World) -> None:
    world.load(CSU)
    world.here = world.here.model_copy(
        update={"database_url": SecretStr("postgresql://nobody:secret@127.0.0.1:1/gone")}
    )
    with pytest.raises(WarehouseUnavailable, match="does not answer") as refused:
        world.tick()
    assert "secret" not in refused.value.summary
    assert world.cursor is None


def test_a_run_begun_before_its_load_may_answer_it(world: World) -> None:
    """It was queued, the load was committed, then it extracted."""
    run_id = world.ran(FIRST, 0, dg.DagsterRunStatus.SUCCESS)
    world.load(CSU)
    with world.warehouse.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE e2i.ml_load_batches SET committed_at = :later"),
            {"later": datetime.now(UTC) + timedelta(seconds=1)},
        )
    world.extracted(FIRST, 1, run_id)
    assert world.tick() == {}
    assert json.loads(world.cursor or "") == {FIRST: 1}
