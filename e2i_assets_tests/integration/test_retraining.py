"""Retrainings on a real database and real run records: asked for, approved by somebody else, carried out."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from e2i_assets.automation.comparison import COMPARISON, RETRAINING
from e2i_assets.automation.jobs import REFRESH
from e2i_assets.build import build_defs, build_resources
from e2i_assets.cli.main import app
from e2i_assets.errors import E2IError
from e2i_assets.monitoring.retraining import Retraining
from e2i_assets.registry.ledger import Entry, Version
from e2i_assets.settings import Settings
from e2i_assets.stages.stage import FORCE
from e2i_assets.warehouse.queries.alerts import alerts
from e2i_assets.warehouse.queries.gates import GateResult, record_gate_results
from e2i_assets.warehouse.queries.registry import registry
from e2i_assets.warehouse.queries.retraining import Wanted, answer_request, request_retraining, retraining_of
from e2i_assets.warehouse.warehouse import Warehouse

PARTITION = "fabhalta_c3g"
NAME = f"e2i-conversion-{PARTITION}"
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
WANTED = Wanted(PARTITION, "conversion", NAME, 1, "drift", "drift of data is 0.6", "e2i")
FAILURE, SUCCESS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


def registered(warehouse: Warehouse) -> None:
    version = Version(
        model_name=NAME, scope="conversion", partition=PARTITION, problem_type="binary_classification",
        algorithm="LightGBM", model_fingerprint="f", service="classification-service", bento_tag=f"{NAME}:a",
        files_hash="h", data_version="d", trained_on={}, metrics={}, samples={}, mlflow_run_id="m", run_id="r",
        version=1, mlflow_version=1, created_at=NOW,
    )  # fmt: skip
    with registry(warehouse) as ledger:
        ledger.add(version)
        ledger.append(Entry(NAME, 1, 1, "registered", None, "development", "e2i", "e2i", NOW))


@dataclass
class World:
    here: Settings
    warehouse: Warehouse
    instance: dg.DagsterInstance
    defs: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        self.defs = build_defs(self.here)

    def tick(self, name: str = "retraining_sensor") -> list[dg.RunRequest]:
        sensor, resources = self.defs.resolve_sensor_def(name), build_resources(self.here)
        with dg.build_sensor_context(
            instance=self.instance,
            resources={key: resources[key] for key in sensor.required_resource_keys},
            definitions=self.defs,
        ) as context:
            return list(sensor.evaluate_tick(context).run_requests or [])

    def ran(self, number: int, status: dg.DagsterRunStatus, tag: str = RETRAINING) -> str:
        run = dg.DagsterRun(REFRESH, status=status, tags={tag: str(number)})
        self.instance.add_run(run)
        return run.run_id

    def now(self, number: int) -> Retraining:
        found = retraining_of(self.warehouse, number)
        assert found is not None
        return found


@pytest.fixture
def world(here: Settings, warehouse: Warehouse) -> Iterator[World]:
    registered(warehouse)
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(here, warehouse, instance)


def approved(world: World) -> int:
    made = request_retraining(world.warehouse, WANTED, approval=False)
    assert made is not None
    return made.id


def test_one_is_open_at_a_time_and_waits_for_somebody(world: World) -> None:
    made = request_retraining(world.warehouse, WANTED, approval=True)
    assert made is not None
    assert request_retraining(world.warehouse, WANTED, approval=False) is None
    (alert,) = alerts(world.warehouse)
    assert (alert.id, alert.kind) == (made.alert_id, "retraining")
    assert f"e2i retrain approve {made.id}" in alert.next_step
    assert world.tick() == []
    with pytest.raises(sa.exc.IntegrityError, match="two_people"):
        answer_request(world.warehouse, made.id, approve=True, by="e2i")
    answered = answer_request(world.warehouse, made.id, approve=True, by="Anna Smith")
    assert answered is not None
    assert answered.status == "approved"
    assert [request.run_key for request in world.tick()] == [f"retraining-{made.id}-attempt-1"]


def test_the_run_is_of_the_scope_alone_and_forced(world: World) -> None:
    number = approved(world)
    first, again = world.tick(), world.tick()  # lost between tick and launch: Dagster knows the key
    assert [one.run_key for one in first] == [one.run_key for one in again]
    (request,) = first
    assert (request.partition_key, request.tags[RETRAINING]) == (PARTITION, str(number))
    assert request.tags[FORCE]
    stages = {key.path[-1] for key in request.asset_selection or ()}
    assert {key.path[0] for key in request.asset_selection or ()} == {"conversion"}
    assert "registered_model" in stages
    assert not stages & {"deployment", "holdout_validation", "splits"}
    run_id = world.ran(number, dg.DagsterRunStatus.STARTED)
    assert world.tick() == []
    assert (world.now(number).status, world.now(number).run_id) == ("running", run_id)


@pytest.mark.parametrize(("refused", "status"), [(True, "refused"), (False, "failed")])
def test_a_run_that_comes_to_nothing_ends_it_with_an_alert(world: World, refused: bool, status: str) -> None:
    number = approved(world)
    for attempt in (2, 3):
        world.ran(number, FAILURE)
        assert [one.run_key for one in world.tick()] == [f"retraining-{number}-attempt-{attempt}"]
    last = world.ran(number, FAILURE)
    if refused:
        record_gate_results(
            world.warehouse,
            [GateResult("conversion/evaluation", PARTITION, "v", "success_criteria", False, "low", {}, last)],
        )
    assert world.tick() == []
    ended = world.now(number)
    assert (ended.status, ended.run_id, ended.attempts) == (status, last, 3)
    assert ended.completed_at is not None
    (alert,) = alerts(world.warehouse)
    assert f"e2i retrain request conversion -p {PARTITION}" in alert.next_step
    assert world.tick() == []
    assert approved(world) == number + 1


def test_what_was_trained_is_compared(world: World) -> None:
    number = approved(world)
    assert world.tick("retraining_comparison_sensor") == []
    world.ran(number, SUCCESS)
    assert world.tick() == []
    (request,) = world.tick("retraining_comparison_sensor")
    assert (request.run_key, request.tags[COMPARISON]) == (f"retraining-{number}-comparison-1", str(number))
    world.ran(number, dg.DagsterRunStatus.STARTED, COMPARISON)
    assert world.tick("retraining_comparison_sensor") == []


def test_commands_ask_approve_and_show(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.here.database_url is not None
    monkeypatch.setenv("E2I_DATABASE_URL", world.here.database_url.get_secret_value())
    monkeypatch.setenv("COLUMNS", "40")

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["retrain", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    ask = ("request", "conversion", "-p", PARTITION, "--reason", "a new supplier", "--by")
    number = json.loads(said(*ask, "Anna Smith", "--json"))["retraining"]["id"]
    for arguments, reason in {
        (*ask, "Bert Jones"): "open already",
        ("approve", str(number), "--by", "asmith"): "asmith may be Anna Smith",
        ("approve", "999", "--by", "Bert Jones"): "there is no retraining 999",
        ("request", "nothing", "-p", PARTITION, "--reason", "r", "--by", "Anna Smith"): "no scope 'nothing'",
        (
            "request",
            "conversion",
            "-p",
            "p",
            "--reason",
            "r",
            "--by",
            "Anna Smith",
        ): "no version of conversion",
    }.items():
        with pytest.raises(E2IError, match=reason):
            said(*arguments)
    assert "retraining_sensor requests the run" in said("approve", str(number), "--by", "Bert Jones")
    with pytest.raises(E2IError, match="is approved, and waits for no approval"):
        said("reject", str(number), "--by", "Carl Brown")
    shown = said("status")
    for text in (NAME, "a new supplier", "Anna Smith", "Bert Jones"):
        assert text in shown
