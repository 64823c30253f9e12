"""Sensors that loads start, against a warehouse and a Dagster instance: what they request, remember and raise."""

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

from e2i_assets.automation.attempts import LAUNCHED, LOAD, MAX_ATTEMPTS
from e2i_assets.automation.jobs import REFRESH
from e2i_assets.automation.sensors import NEWEST_RAW
from e2i_assets.automation.watching import TASK
from e2i_assets.build import build_defs, build_resources
from e2i_assets.registry.ledger import Entry, Version
from e2i_assets.resources.store import ArtifactStore, Published
from e2i_assets.settings import Settings
from e2i_assets.storage.filesystems import StoreUnavailable
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.queries.alerts import alerts
from e2i_assets.warehouse.queries.monitoring import record_monitoring, record_profile
from e2i_assets.warehouse.queries.registry import registry
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import shipped_config

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
        requests = self.requests("new_data_sensor")
        assert len({request.partition_key for request in requests}) == len(requests)
        return {str(request.partition_key): str(request.run_key) for request in requests}

    def requests(self, name: str) -> list[dg.RunRequest]:
        sensor, resources = build_defs(self.here).resolve_sensor_def(name), build_resources(self.here)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={name: resources[name] for name in sensor.required_resource_keys},
            definitions=build_defs(self.here),
        ) as context:
            tick = sensor.evaluate_tick(context)
        self.cursor = tick.cursor
        return list(tick.run_requests or [])

    def ran(self, partition: str, load: int, status: dg.DagsterRunStatus, **tags: str) -> str:
        run = dg.DagsterRun(
            REFRESH, status=status, tags={"dagster/partition": partition, LOAD: str(load)} | tags
        )
        self.instance.add_run(run)
        return run.run_id

    def extracted(self, partition: str, load: int, run_id: str, features: str | None = None) -> None:
        self.store.publish(
            Published(NEWEST_RAW, partition, "0" * 16, "", attributes={"load": load}, run_id=run_id)
        )
        if features:
            self.store.publish(Published("features", partition, features, "", run_id=run_id))


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


def test_a_store_that_does_not_answer_is_told_by_the_sensor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> None:
        raise StoreUnavailable("the artifact store does not answer.")

    world.load(CSU)
    with monkeypatch.context() as down:
        down.setattr(ArtifactStore, "current", unavailable)
        assert (world.tick(), world.cursor) == ({}, None)
    (alert,) = alerts(world.warehouse)
    assert (alert.kind, alert.subject) == ("sensor", "new_data_sensor")
    assert world.tick() == {FIRST: f"{FIRST}-load-1-attempt-1"}


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


def answers(world: World, scope: str, number: int = 1, *, trained_on: str, profile: bool = True) -> None:
    """A version answers in the first partition."""
    name = f"e2i-{scope}-{FIRST}"
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    version = Version(
        name, scope, FIRST, "binary_classification", "LightGBM", "f", "classification-service", f"{name}:{number}",
        f"h{number}", "d", {"features": trained_on}, {}, {}, "m", "r", number, number, moment,
    )  # fmt: skip
    with registry(world.warehouse) as ledger:
        ledger.add(version)
        ledger.append(Entry(name, number, number, "registered", None, "staging", "e2i", "e2i", moment))
    if profile:
        record_profile(world.warehouse, name, number, {}, "r")


def compared(world: World, scope: str, features: str, number: int = 1) -> None:
    run = {
        "partition": FIRST, "scope": scope, "model_name": f"e2i-{scope}-{FIRST}", "model_version": number,
        "run_id": f"{scope} {features} {number}", "data_version": features, "new_patients": 0, "predictions": 0,
        "judged": False, "total_checks": 0, "drift_detected_count": 0, "severity": "none", "drift_score": 0.0,
        "summary": {},
    }  # fmt: skip
    record_monitoring(world.warehouse, run, [], [])


def test_what_answers_is_held_against_a_load_once_when_its_features_are_published(
    world: World, tmp_path: Path
) -> None:
    config = shipped_config(tmp_path / "three", ["conversion", "churn", "adoption"])
    world.here = world.here.model_copy(update={"config": config})

    def asked() -> list[tuple[str, list[str]]]:
        requests = world.requests("watching_sensor")
        assert all(request.partition_key == FIRST for request in requests)
        return [(str(one.run_key), [key.path[0] for key in one.asset_selection or []]) for one in requests]

    old, new = "a" * 16, "b" * 16
    for scope, profile in (("conversion", True), ("churn", True), ("adoption", False)):
        answers(world, scope, trained_on=old, profile=profile)
    world.load(CSU)
    world.extracted(FIRST, 1, "first", old)
    assert asked() == []  # trained on it
    world.load(CSU, PNH)
    assert asked() == []  # not extracted
    training = world.ran(FIRST, 2, dg.DagsterRunStatus.STARTED, **{LAUNCHED: "{}"})
    world.extracted(FIRST, 2, training, new)
    assert asked() == []  # another run of the partition is under way
    world.instance.delete_run(training)
    ((key, scopes),) = asked()
    assert (key.split("-")[1:4], scopes) == (["watch", "load", "2"], ["churn", "conversion"])
    assert asked() == [(key, scopes)]  # a tick whose requests were lost asks for the same key
    watching = world.ran(FIRST, 2, dg.DagsterRunStatus.STARTED, **{LAUNCHED: "{}", TASK: key.split("-")[4]})
    assert asked() == []
    world.instance.delete_run(watching)
    compared(world, "churn", new)
    ((key, scopes),) = asked()
    assert scopes == ["conversion"]
    for _ in range(MAX_ATTEMPTS):
        world.ran(FIRST, 2, dg.DagsterRunStatus.FAILURE, **{TASK: key.split("-")[4]})
    assert [asked(), asked()] == [[], []]
    (alert,) = alerts(world.warehouse)
    assert (alert.kind, alert.partition, alert.raised) == ("refresh", FIRST, 1)
    assert "load 2 against the versions of conversion" in alert.message
    world.load(CSU)
    world.extracted(FIRST, 3, "third", new)
    assert [scopes for _, scopes in asked()] == [["conversion"]]  # another load is another try
    compared(world, "conversion", new)
    assert (asked(), world.cursor) == ([], "[]")
    answers(world, "conversion", 2, trained_on=old)
    assert [scopes for _, scopes in asked()] == [
        ["conversion"]
    ]  # who answers now never met what is published
